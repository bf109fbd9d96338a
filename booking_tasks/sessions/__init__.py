"""The agreed consultation and the states it may move through."""
