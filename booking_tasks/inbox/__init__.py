"""Inbound messages: counted before they run, answered once, never lost once received."""
