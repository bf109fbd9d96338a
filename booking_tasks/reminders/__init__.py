"""Reminders to both sides of a session, sent only while they are still correct."""
