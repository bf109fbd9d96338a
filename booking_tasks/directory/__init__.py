"""Who a user is: the last known copy from the identity service."""
