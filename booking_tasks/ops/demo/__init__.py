"""The demo: one day of bookings on real servers, printed live and checked at the end."""
