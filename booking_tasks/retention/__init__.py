"""Deleting rows and erasing texts that are older than their retention."""
