"""Holds: a start that is kept for a requester until they confirm it."""
