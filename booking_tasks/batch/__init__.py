"""Planning many waiting requests at once."""
