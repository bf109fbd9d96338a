"""Tests of the guard: no message can stop a worker or gain rights."""
