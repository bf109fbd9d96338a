"""Declared hours of consultants in wall-clock time, and the windows of the slot ledger made from them."""
