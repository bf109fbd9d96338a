"""The engine promises: what worker and beat processes do when they are started, doubled, cut off, killed."""
