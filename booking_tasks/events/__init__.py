"""Publishing events to other services: CloudEvents on a Redis Stream, a Celery queue, or both."""
