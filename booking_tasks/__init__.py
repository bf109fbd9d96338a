"""The scheduling backend of a booking and consultation service.

Imports nothing on purpose: a caller that only enqueues (`booking_tasks.client`) must not pay for
SQLAlchemy or icalendar.
"""
