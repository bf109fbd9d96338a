"""Everything that happened to one request, in order."""
