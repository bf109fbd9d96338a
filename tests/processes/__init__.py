"""Tests of worker and beat processes that are started twice, disconnected or killed."""
