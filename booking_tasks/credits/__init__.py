"""Fairness that holds under load: a ledger of who got what."""
