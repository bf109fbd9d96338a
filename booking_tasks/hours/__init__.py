"""Declared hours, as people mean them, and the windows of the slot ledger made of them."""
