"""The job ledger: follow-up work as rows, leased, fenced, settled once."""
