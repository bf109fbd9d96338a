"""Invites: the consultation in both calendars, kept right there, and notices about requests."""
