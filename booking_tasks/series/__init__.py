"""Series: several sessions booked at once, all of them or none."""
