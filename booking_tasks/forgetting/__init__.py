"""Forgetting a person, and exporting what is known of one."""
