"""The shutdown flag of a worker, shared by its main process and every child of its pool.

Only the main process gets the signal. A loop over many items checks the flag between two items, so that a
shutdown waits for one item and not for the whole list.
"""

from __future__ import annotations

import mmap

#: One byte of memory that forked children share with their parent.
_flag = mmap.mmap(-1, 1)


def request() -> None:
    """Request a shutdown of this process and of all that were forked from it."""
    _flag[0] = 1


def reset() -> None:
    """Clear the request, in a process that starts more than one worker, such as a test."""
    _flag[0] = 0


def is_requested() -> bool:
    """Whether a shutdown was requested, so that the current item must be the last."""
    return _flag[0] == 1
