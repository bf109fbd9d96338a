"""Sessions whose consultant is away: who takes over, and what happens to each requester's session."""
