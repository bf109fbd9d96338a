"""A database connection that does not wait for ever."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

AnswerT = TypeVar("AnswerT")


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection that hangs up on a server that says nothing.

    The server's own time-outs end what takes too long, but a server that is frozen or cut off keeps no
    time. `patience` (seconds) bounds every exchange; when it is over, the connection is closed.
    """

    deadline_seconds: float | None = None

    def wait(self, gen: PQGen[AnswerT], *args: Any, **options: Any) -> AnswerT:
        """psycopg's own wait, for no longer than `patience`. Raises psycopg.OperationalError."""
        if self.deadline_seconds is None:
            return super().wait(gen, *args, **options)
        return super().wait(self._bounded(gen, self.deadline_seconds), *args, **options)

    def _bounded(self, gen: PQGen[AnswerT], seconds: float) -> PQGen[AnswerT]:
        # psycopg resumes its generators several times a second, whether or not anything came.
        end = time.monotonic() + seconds
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if time.monotonic() > end:
                    self.close()
                    raise psycopg.OperationalError(f"the database said nothing for {seconds:g} s")
                wanted = gen.send(ready)
        except StopIteration as done:
            answer: AnswerT = done.value
            return answer
