"""One person is in one place, whatever their role."""
