"""Infrastructure that knows nothing of consultations: database, clock, ids, logs, settings."""
