"""The moments at which a process may die: before every statement, on both sides of every commit and effect.

Installed in a forked child only: what is wrapped stays wrapped until the child ends.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from booking_tasks.calendars.network import HttpsClient
from booking_tasks.celery import app
from booking_tasks.events.publisher import Publisher
from booking_tasks.mail.transport import SmtpTransport
from booking_tasks.meetings.provider import HttpMeetingPlatform

#: What leaves the process: (where, method, name of the effect).
_EFFECTS: tuple[tuple[type, str, str], ...] = (
    (SmtpTransport, "send", "mail"),
    (HttpMeetingPlatform, "ensure", "room made"),
    (HttpMeetingPlatform, "end", "room closed"),
    (HttpMeetingPlatform, "attendance", "report read"),
    (HttpMeetingPlatform, "rooms", "rooms listed"),
    (Publisher, "publish", "event published"),
    (HttpsClient, "request", "calendar fetched"),
)


class Points:
    """Counts the points of one child's life and ends it, as `kill -9` does, at the chosen one."""

    def __init__(self, die_at: int | None) -> None:
        self.die_at = die_at
        self.names: list[str] = []
        self._counting = True

    @contextmanager
    def not_counted(self) -> Iterator[None]:
        """Do not count the statements of the test itself."""
        self._counting = False
        try:
            yield
        finally:
            self._counting = True

    def reach(self, name: str) -> None:
        """One point more. The first is number 1."""
        if not self._counting:
            return
        self.names.append(name)
        if len(self.names) == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The call with a point on either side; one that fails has no point behind it."""

        @functools.wraps(call)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.reach(f"before {name}")
            result = call(*args, **kwargs)
            self.reach(f"after {name}")
            return result

        return wrapped

    def install(self, sent: Callable[[str], None]) -> None:
        """Wrap this process's database driver, effects and wake-ups; `sent` gets each task's name."""
        event.listen(Engine, "before_cursor_execute", self._statement)
        for name in ("do_commit", "do_rollback"):
            wrapped = self.around(getattr(PGDialect_psycopg, name), name.removeprefix("do_"))
            setattr(PGDialect_psycopg, name, wrapped)
        for owner, name, effect in _EFFECTS:
            setattr(owner, name, self.around(getattr(owner, name), effect))
        send_task = self.around(app.send_task, "wakeup")

        def send(name: str, *args: Any, **kwargs: Any) -> Any:
            result = send_task(name, *args, **kwargs)
            sent(name)
            return result

        app.send_task = send

    def _statement(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        self.reach("before " + " ".join(statement.split()[:3]))
