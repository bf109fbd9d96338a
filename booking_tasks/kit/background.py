"""A record that is kept in the background, so that whoever makes it never waits for the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")


class LatestRecorder(Generic[ValueT]):
    """Passes the latest value to `record`, in a thread of its own and at most once in `seconds`.

    Errors of `record` are ignored, and values that it is too slow for are skipped. The thread begins with the
    first value and does not keep the process from ending.
    """

    def __init__(self, record: Callable[[ValueT], None], seconds: float) -> None:
        self._record, self._seconds = record, seconds
        self._latest: list[ValueT] = []
        self._is_new = Event()
        self._thread: Thread | None = None

    def put(self, value: ValueT) -> None:
        """Remember a value and return at once."""
        self._latest = [value]
        self._is_new.set()
        if self._thread is None:
            with suppress(RuntimeError):  # no more threads are allowed at present
                thread = Thread(target=self._run, name="recorder", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while self._is_new.wait():
            self._is_new.clear()
            with suppress(Exception):  # the next value is recorded instead
                self._record(*self._latest)
            time.sleep(self._seconds)
