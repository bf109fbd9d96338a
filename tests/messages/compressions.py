"""Small bodies that unpack to twenty megabytes, and the memory that reading them takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kombu.compression import get_encoder

UNPACKED = 20_000_000


def bomb(compression: str) -> bytes:
    """A body that a compression of kombu makes small; at most 20 KB."""
    encode, _ = get_encoder(compression)
    return bytes(encode(b" " * UNPACKED))


@contextmanager
def memory() -> Iterator[Callable[[], int]]:
    """The most memory that Python's objects took in the `with` block, in bytes, read after it."""
    peak = [0]
    tracemalloc.start()
    try:
        yield lambda: peak[0]
    finally:
        peak[0] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
