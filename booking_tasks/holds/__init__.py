"""A start kept for a requester until they confirm it."""
