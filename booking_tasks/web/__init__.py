"""The small HTTP edge: pages behind signed links, and whether the service is well."""
