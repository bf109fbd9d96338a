"""Declared hours, the slot ledger, search and holds."""
