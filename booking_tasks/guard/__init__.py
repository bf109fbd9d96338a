"""The worker's entry_point: what a message must look like before Celery may touch it."""
