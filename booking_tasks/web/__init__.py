"""The HTTP edge: pages behind signed links, and a health check."""
