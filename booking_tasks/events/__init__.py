"""What other services hear: CloudEvents on a Redis Stream, a Celery queue, or both."""
