"""Attendance: the evidence of who was in a room, the verdict after the end, and its correction."""
