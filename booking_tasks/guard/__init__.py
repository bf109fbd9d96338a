"""The worker's door: what a message must look like before Celery may touch it."""
