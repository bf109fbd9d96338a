"""Time offers: a start held for a waiting request until its requester answers or the offer expires."""
