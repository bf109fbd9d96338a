"""Replies from people's calendars (iTIP), received by mail."""
