"""Outside calendars: what else fills a consultant's time, read from where they keep it."""
