"""The link: one protocol, several platforms."""
