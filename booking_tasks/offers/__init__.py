"""A start kept for one who waits, until they answer or the clock ends it."""
