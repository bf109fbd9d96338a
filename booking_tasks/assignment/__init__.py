"""Who takes a consultation, when, and why."""
