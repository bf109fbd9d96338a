"""The demo's stage: servers, processes, the stepped clock, and how to tell that all is quiet."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import text

from booking_tasks import clock, database
from booking_tasks.client import BookingClient, NoAnswerError
from booking_tasks.contracts import Command, Query
from booking_tasks.contracts.base import OutcomeT
from booking_tasks.database import transaction
from booking_tasks.errors import BookingTasksError
from booking_tasks.ops.mail_sink import MailSink
from booking_tasks.ops.migrate import migrate
from booking_tasks.ops.servers import Postgres, Valkey
from booking_tasks.ops.stack import EFFECTS, FRONT, Stack
from booking_tasks.ops.test_platform import LocalPlatform
from booking_tasks.settings import settings

#: What is still to be done at the clock's instant; the stage is quiet when every count is zero.
_BUSY = text("""
    WITH moment AS (SELECT instant FROM stepped_clock)
    SELECT (SELECT count(*) FROM jobs, moment
             WHERE state IN ('leased', 'sending') OR (state = 'waiting' AND due_at <= instant)) AS jobs,
           (SELECT count(*) FROM inbox WHERE state = 'received') AS messages,
           (SELECT count(*) FROM consultation_requests, moment
             WHERE status = 'pending'
                OR (status = 'pending_assignment' AND least(deadline_at, preferred_end_time) <= instant))
             AS requests,
           (SELECT count(*) FROM consultation_requests r, moment
             WHERE r.status = 'pending_confirmation' AND NOT EXISTS (
                   SELECT FROM consultant_availability_slots h
                    WHERE h.consultation_request_id = r.id AND h.status = 'held' AND h.held_until > instant))
             AS unanswered,
           (SELECT count(*) FROM scheduled_sessions, moment
             WHERE (status = 'scheduled' AND scheduled_start_time <= instant)
                OR (status = 'in_progress'
                    AND scheduled_end_time + make_interval(secs => :verdict_delay) <= instant)) AS sessions
""")

_NEXT_DUE = text("""
    WITH moment AS (SELECT instant FROM stepped_clock)
    SELECT min(due) FROM moment CROSS JOIN LATERAL (
        SELECT min(due_at) AS due FROM jobs WHERE state = 'waiting' AND due_at > instant
        UNION ALL SELECT min(scheduled_start_time) FROM scheduled_sessions
                   WHERE status = 'scheduled' AND scheduled_start_time > instant
        UNION ALL SELECT min(scheduled_end_time + make_interval(secs => :verdict_delay))
                    FROM scheduled_sessions
                   WHERE status IN ('scheduled', 'in_progress')
                     AND scheduled_end_time + make_interval(secs => :verdict_delay) > instant
        UNION ALL SELECT min(least(deadline_at, preferred_end_time)) FROM consultation_requests
                   WHERE status IN ('pending', 'pending_assignment')
                     AND least(deadline_at, preferred_end_time) > instant
        UNION ALL SELECT min(held_until) FROM consultant_availability_slots
                   WHERE status = 'held' AND held_until > instant
    ) candidates
""")


class DemoError(BookingTasksError):
    """The demo could not go on; the message says where and what was still open."""


class Stage:
    """Everything that runs while the demo plays; all of it ends with the `with` block."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="booking-demo-"))
        self._exit = ExitStack()
        self.mail = MailSink(self.folder / "mail")
        self.platform = LocalPlatform()
        self.postgres = Postgres(self.folder / "postgres")
        self.valkey = Valkey(self.folder / "valkey")
        self.environment = {
            "DATABASE_URL": self.postgres.url(),
            "REDIS_URL": self.valkey.url(),
            "BOOKING_CLOCK": "stepped",
            "BOOKING_SWEEP_INTERVAL": "0.3s",
            "BOOKING_LEASE": "4s",
            "BOOKING_RETRY_BASE": "0.4s",
            "BOOKING_MEETING_URL": self.platform.url,
            "BOOKING_SMTP_PORT": str(self.mail.port),
            "BOOKING_MAIL_ADDRESS": "consultations@booking.example.org",
            "BOOKING_MAIL_NAME": "Consultations",
        }
        self.stack = Stack(self.folder / "processes", self.environment)
        self._client: BookingClient | None = None

    def __enter__(self) -> Self:
        self._exit.callback(shutil.rmtree, self.folder, ignore_errors=True)
        try:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda server: server.start(), (self.postgres, self.valkey)))
        finally:
            self._exit.callback(self.postgres.stop)
            self._exit.callback(self.valkey.stop)
        self._exit.enter_context(self.platform)
        self._exit.enter_context(self.mail)
        self._use_environment()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def _use_environment(self) -> None:
        """Let this process read the stage's database and clock with the service's own code."""
        for name in [one for one in os.environ if one.startswith(("BOOKING_", "CELERY_", "DATABASE_URL"))]:
            del os.environ[name]
        os.environ.update(self.environment)
        settings.cache_clear()
        database.engine.cache_clear()
        self._exit.callback(lambda: database.engine().dispose())

    def open(self, at: datetime) -> None:
        """Migrate, set the clock, start workers and beat."""
        migrate(self.postgres.url())
        self.step(at)
        self._exit.callback(self.stack.stop)
        self.stack.worker("front", FRONT)
        self.stack.worker("effects", EFFECTS)
        self.stack.beat()
        self.stack.wait_ready()
        self._client = BookingClient(self.valkey.url())
        self._exit.callback(self._client.close)

    def send(self, message: Query[OutcomeT]) -> OutcomeT:
        """Send a command until its outcome is there, as every caller should."""
        if self._client is None:
            raise DemoError("the stage is not open yet")
        for _ in range(5):
            try:
                return self._client.send(message, wait=True).outcome(timeout=8)
            except NoAnswerError:
                continue
        raise DemoError(f"{message.task} got no outcome in five tries")

    def send_at_once(self, messages: Sequence[Command[OutcomeT]]) -> list[OutcomeT]:
        """Enqueue several commands before reading any outcome; whatever got none is sent again."""
        if self._client is None:
            raise DemoError("the stage is not open yet")
        receipts = [self._client.send(message, wait=True) for message in messages]
        outcomes = []
        for message, receipt in zip(messages, receipts, strict=True):
            try:
                outcomes.append(receipt.outcome(timeout=8))
            except NoAnswerError:
                outcomes.append(self.send(message))
        return outcomes

    def now(self) -> datetime:
        """The stepped clock's instant."""
        with transaction() as db:
            return clock.now(db)

    def step(self, to: datetime) -> None:
        """Set the clock."""
        with transaction() as db:
            clock.step(db, to)

    def advance(self, to: datetime) -> None:
        """Step from one due moment to the next, until `to`, letting all be done at each."""
        self.settle()
        while (due := self._next_due()) is not None and due < to:
            self.step(due)
            self.settle()
        self.step(to)
        self.settle()

    def settle(self, seconds: float = 30) -> None:
        """Wait until nothing is left to do at this instant. Raises DemoError with what is left."""
        end = time.monotonic() + seconds
        while busy := self._busy():
            if time.monotonic() > end:
                raise DemoError(f"still busy after {seconds:.0f} s at {self.now():%a %H:%M}: {busy}")
            time.sleep(0.03)

    def _busy(self) -> dict[str, Any]:
        with transaction() as db:
            counts = db.execute(_BUSY, self._delays()).mappings().one()
        return {name: count for name, count in counts.items() if count}

    def _next_due(self) -> datetime | None:
        with transaction() as db:
            due: datetime | None = db.execute(_NEXT_DUE, self._delays()).scalar_one()
        return due

    @staticmethod
    def _delays() -> dict[str, float]:
        return {"verdict_delay": settings().verdict_delay.total_seconds()}
