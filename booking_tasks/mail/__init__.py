"""Letters to people: what a copy may show, its words in the reader's language and zone, its bytes."""
