"""Who came: what was observed of a room, the verdict after the end, and its correction."""
