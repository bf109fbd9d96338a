"""What can be booked, in pages, and why nothing can."""
