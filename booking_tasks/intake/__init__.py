"""A consultation asked for, confirmed, declined, withdrawn, given up."""
