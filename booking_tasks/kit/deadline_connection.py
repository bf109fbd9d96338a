"""A database connection with a deadline for every exchange."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

AwaitedT = TypeVar("AwaitedT")


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection that closes itself when the server does not answer in time.

    The server's own time-outs end a statement that takes too long, but not on a server that is frozen or
    unreachable. `deadline_seconds` limits every exchange; after it, the connection is closed.
    """

    deadline_seconds: float | None = None

    def wait(self, gen: PQGen[AwaitedT], *args: Any, **options: Any) -> AwaitedT:
        """Wait as psycopg does, at most `deadline_seconds`. Raises psycopg.OperationalError."""
        if self.deadline_seconds is None:
            return super().wait(gen, *args, **options)
        return super().wait(self._bounded(gen, self.deadline_seconds), *args, **options)

    def _bounded(self, gen: PQGen[AwaitedT], seconds: float) -> PQGen[AwaitedT]:
        # psycopg resumes its generators several times a second, also when nothing has arrived.
        end = time.monotonic() + seconds
        try:
            awaited = next(gen)
            while True:
                ready = yield awaited
                if time.monotonic() > end:
                    self.close()
                    raise psycopg.OperationalError(f"the database did not answer for {seconds:g} s")
                awaited = gen.send(ready)
        except StopIteration as done:
            result: AwaitedT = done.value
            return result
