"""Deleting rows that are older than their retention."""
