"""The demo: one day of bookings on real servers, told live and checked at the end."""
