"""Outside calendars: busy time of consultants, read from the calendars that they keep elsewhere."""
