"""Mail: what one reader may see, its text in the reader's language and zone, its bytes, and SMTP."""
