"""Inbound messages: each is counted before it runs, answered once, and kept until it is answered."""
