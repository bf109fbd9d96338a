"""The consultation request: its row, and the one function that changes its status."""
