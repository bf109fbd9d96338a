"""Invites that keep a consultation correct in both calendars, and notices about requests."""
