"""Savepoints: part of a transaction that is kept or undone as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session


class Savepoint:
    """A running savepoint; its work is kept unless it is discarded."""

    def __init__(self) -> None:
        self.is_discarded = False

    def discard(self) -> None:
        """Undo the work of this savepoint when its block ends."""
        self.is_discarded = True


class _DiscardedError(Exception):
    """Ends the block of a discarded savepoint, so that the database undoes it."""


@contextmanager
def savepoint(db: Session) -> Iterator[Savepoint]:
    """Run a block in a savepoint, which `discard()` or an exception undoes; the exception is passed on."""
    attempt = Savepoint()
    try:
        with db.begin_nested():
            yield attempt
            if attempt.is_discarded:
                raise _DiscardedError
    except _DiscardedError:
        pass
