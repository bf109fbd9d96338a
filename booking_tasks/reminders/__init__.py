"""Reminders: both sides, in time, and only while the session still stands as announced."""
