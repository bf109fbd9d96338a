"""Requests: submitted, confirmed, declined, cancelled, and rejected at their deadline."""
