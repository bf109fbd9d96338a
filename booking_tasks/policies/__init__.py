"""What one consultant does differently from the policies of a kind of consultation."""
