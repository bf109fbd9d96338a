"""Several consultations booked at once, whole or not at all."""
