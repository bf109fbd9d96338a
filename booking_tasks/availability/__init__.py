"""The slot ledger: search, holds and bookings."""
