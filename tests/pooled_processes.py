"""Processes of their own that hold a lock or run a message, in the order that a test needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from sqlalchemy.orm import Session

_context = get_context("forkserver")
_SECONDS = 60


class SteppedProcess:
    """A process that reports each step, and goes on when the test says so."""

    def __init__(self, process: BaseProcess, channel: Connection) -> None:
        self._process, self._channel = process, channel

    def report(self) -> Any:
        """The next report of the process."""
        assert self._channel.poll(_SECONDS), "the process reported nothing"
        return self._channel.recv()

    def has_reported(self, seconds: float = 0) -> bool:
        """Whether a report is there."""
        return self._channel.poll(seconds)

    def go_on(self) -> None:
        self._channel.send(None)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.join(_SECONDS)


@contextmanager
def stepped_process(target: Callable[..., None], *arguments: Any) -> Iterator[SteppedProcess]:
    """Run a function of this module in a process with this process's environment."""
    _context.set_forkserver_preload(["tests.preforked_imports"])
    here, there = _context.Pipe()
    process = _context.Process(target=_run, args=(dict(os.environ), target, there, *arguments), daemon=True)
    process.start()
    there.close()
    running = SteppedProcess(process, here)
    try:
        yield running
    finally:
        running.kill()
        here.close()


def _run(environment: Mapping[str, str], target: Callable[..., None], *arguments: Any) -> None:
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)


def hold_lock(channel: Connection, subject: str) -> None:
    """Report whether the lock of a sweep was taken, and keep it until a message arrives."""
    from booking_tasks.kit.database import try_lock

    with try_lock(subject, timedelta(minutes=1)) as is_locked:
        channel.send(is_locked)
        channel.recv()
    channel.send("released")


def deliver(channel: Connection, body: dict[str, Any]) -> None:
    """Deliver submit_request: report `waiting` for another delivery, `running` and then the answer.

    The run stands still, its work done and not committed, until the test says so.
    """
    from booking_tasks.assignment.tasks import submit_request
    from booking_tasks.inbox import receiver, service

    begin, use_case = service.begin_attempt, receiver._use_cases["submit_request"]
    has_waited = False

    def begin_attempt(*arguments: Any) -> Any:
        nonlocal has_waited
        found = begin(*arguments)
        if isinstance(found, service.Running) and not has_waited:
            has_waited = True
            channel.send("waiting")
        return found

    def stand_still(db: Session, *arguments: Any) -> Any:
        answer = use_case(db, *arguments)
        db.flush()
        channel.send("running")
        channel.recv()
        return answer

    service.begin_attempt = begin_attempt  # type: ignore[assignment]
    receiver._use_cases["submit_request"] = stand_still
    channel.send(submit_request(body))
