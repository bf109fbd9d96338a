"""What is offered and by whom: service types and consultants' profiles."""
