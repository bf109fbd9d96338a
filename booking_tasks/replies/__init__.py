"""Answers out of people's calendars (iTIP replies), as they come by mail."""
