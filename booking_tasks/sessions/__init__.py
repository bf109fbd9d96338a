"""The sessions: booking, moving, reassigning, cancelling and starting them."""
