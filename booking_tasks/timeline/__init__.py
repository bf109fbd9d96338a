"""The timeline: everything that happened to one request, in order."""
