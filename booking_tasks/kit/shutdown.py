"""Whether this worker was told to stop: known to its main process and to every child of its pool.

Only the main process gets the signal. Whoever works through a list asks between two pieces of work, so
that a stop ends with the piece in hand and not with the list.
"""

from __future__ import annotations

import mmap

#: One byte of memory that forked children share with their parent.
_flag = mmap.mmap(-1, 1)


def request() -> None:
    """Tell this process and all that were forked from it."""
    _flag[0] = 1


def reset() -> None:
    """Take it back (a process that starts more than one worker, such as a test)."""
    _flag[0] = 0


def is_requested() -> bool:
    """Whether the work in hand is to be the last."""
    return _flag[0] == 1
