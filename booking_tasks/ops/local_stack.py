"""A local stack for the demo and the tests: servers, service processes and the stepped clock."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from booking_tasks.client import BookingClient, NoAnswerError
from booking_tasks.contracts import Command, Query
from booking_tasks.contracts.base import OutcomeT
from booking_tasks.kit import clock, database
from booking_tasks.kit.database import transaction
from booking_tasks.kit.errors import BookingTasksError
from booking_tasks.kit.settings import settings
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.mail_sink import MailSink
from booking_tasks.ops.migrate import migrate
from booking_tasks.ops.servers import Postgres, Server, Valkey
from booking_tasks.ops.service_processes import EFFECTS, FRONT, ServiceProcesses
from booking_tasks.ops.ticks import Ticks
from booking_tasks.outbox.daily_runs import has_run_today
from booking_tasks.sql import query

#: What is still to be done at the clock's instant; the stack is idle when every count is zero.
_OPEN_WORK = query(__package__, "open_work")
_NEXT_DUE = query(__package__, "next_due")


class LocalStackError(BookingTasksError):
    """The local stack could not continue; the message says when, and what was still open."""


class LocalStack:
    """All servers and processes of a running service; they end with the `with` block.

    Meanwhile this process has the settings of the stack. Without `database_url` and `redis_url` the stack
    starts its own servers. Once it is open, `settle` sends ticks of the sweeps that are needed, so that beat
    may be slow. `changes` are settings that differ from those below.
    """

    def __init__(self, database_url: str | None = None, redis_url: str | None = None, **changes: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="booking-local-stack-"))
        self._exit = ExitStack()
        self._servers: list[Server] = []
        self.mail = MailSink(self.folder / "mail")
        self.platform = FakeMeetingPlatform()
        if database_url is None:
            postgres = Postgres(self.folder / "postgres")
            self._servers.append(postgres)
            database_url = postgres.url()
        if redis_url is None:
            valkey = Valkey(self.folder / "valkey")
            self._servers.append(valkey)
            redis_url = valkey.url()
        self.environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "BOOKING_CLOCK": "stepped",
            "BOOKING_SWEEP_INTERVAL": "1s",
            "BOOKING_WAKEUP_TTL": "3s",  # one host, one clock: on a slow one, ticks must not pile up
            "BOOKING_LEASE": "6s",
            "BOOKING_SMTP_TIMEOUT": "2.9s",
            "BOOKING_MEETING_TIMEOUT": "2.9s",
            "BOOKING_RETRY_BASE": "0.4s",
            "BOOKING_MEETING_URL": self.platform.url,
            "BOOKING_SMTP_PORT": str(self.mail.port),
            "BOOKING_MAIL_ADDRESS": "consultations@booking.example.org",
            "BOOKING_MAIL_NAME": "Consultations",
        } | changes
        self.service = ServiceProcesses(self.folder / "processes", self.environment)
        self._client: BookingClient | None = None
        self._ticks: Ticks | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            for server in self._servers:
                opening.callback(server.stop)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda server: server.start(), self._servers))
            opening.enter_context(self.platform)
            opening.enter_context(self.mail)
            opening.callback(_set_environment, dict(os.environ))
            _set_environment(self._foreign_environment() | self.environment)
            self._exit = opening.pop_all()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()
        if not isinstance(error, Exception):  # after an error the logs stay
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _foreign_environment() -> dict[str, str]:
        """Return this process's environment without the settings of the service."""
        own = ("BOOKING_", "CELERY_", "DATABASE_URL", "REDIS_URL")
        return {name: value for name, value in os.environ.items() if not name.startswith(own)}

    def open(self, at: datetime) -> None:
        """Migrate, set the clock, and start workers and beat."""
        migrate()
        self.step(at)
        self._exit.callback(self.service.stop)
        self.service.worker("front", FRONT)
        self.service.worker("effects", EFFECTS)
        self.service.beat()
        self.service.wait_ready()
        self._client = BookingClient(
            self.environment.get("CELERY_BROKER_URL", self.environment["REDIS_URL"]),
            self.environment["REDIS_URL"],
        )
        self._exit.callback(self._client.close)
        self._ticks = Ticks(self.environment["REDIS_URL"])
        self._exit.callback(self._ticks.close)

    def send(self, message: Query[OutcomeT]) -> OutcomeT:
        """Send a message until its outcome has arrived, as every caller should."""
        if self._client is None:
            raise LocalStackError("the local stack is not open yet")
        for _ in range(5):
            try:
                return self._client.send(message, wait=True).outcome(timeout=8)
            except NoAnswerError:
                continue
        raise LocalStackError(f"{message.task} got no outcome in five tries")

    def send_at_once(self, messages: Sequence[Command[OutcomeT]]) -> list[OutcomeT]:
        """Send several commands before reading any outcome; those without an outcome are sent again."""
        if self._client is None:
            raise LocalStackError("the local stack is not open yet")
        receipts = [self._client.send(message, wait=True) for message in messages]
        outcomes = []
        for message, receipt in zip(messages, receipts, strict=True):
            try:
                outcomes.append(receipt.outcome(timeout=8))
            except NoAnswerError:
                outcomes.append(self.send(message))
        return outcomes

    def now(self) -> datetime:
        """Return the instant of the stepped clock."""
        with transaction() as db:
            return clock.now(db)

    def step(self, to: datetime) -> None:
        """Set the clock."""
        with transaction() as db:
            clock.step(db, to)

    def advance(self, to: datetime) -> None:
        """Step from one due instant to the next until `to`, and wait at each until nothing is left to do."""
        self.settle()
        while (due := self._next_due()) is not None and due < to:
            self.step(due)
            self.settle()
        self.step(to)
        self.settle()

    def wait_for_new_day(self, seconds: float = 60) -> None:
        """Wait for the daily work of the current day and for what follows from its new windows.

        Raises LocalStackError.
        """
        end = time.monotonic() + seconds
        while not self.has_extended_windows():
            if time.monotonic() > end:
                raise LocalStackError(
                    f"no windows for the day of {self.now():%a %H:%M} after {seconds:.0f} s"
                )
            if self._ticks is not None:
                self._ticks.send(["extend_availability"])
            time.sleep(0.03)
        self.settle(max(0.1, end - time.monotonic()))

    def has_extended_windows(self) -> bool:
        """Whether the windows of the current day are made."""
        with transaction() as db:
            return has_run_today(db, "extend_availability", clock.now(db))

    def settle(self, seconds: float = 60) -> None:
        """Wait until nothing is left to do at this instant.

        Raises LocalStackError with what is left once nothing has been done for so many seconds.
        """
        end, least = time.monotonic() + seconds, math.inf
        began = time.monotonic()
        while open_work := self._open_work():
            cost = time.monotonic() - began
            if (count := sum(open_work.values())) < least:
                end, least = time.monotonic() + seconds, count
            if time.monotonic() > end:
                raise LocalStackError(
                    f"nothing done for {seconds:.0f} s at {self.now():%a %H:%M}: still open: {open_work}"
                )
            if self._ticks is not None:
                self._ticks.send_for(open_work)
            time.sleep(max(0.03, 5 * cost))  # asking must not slow down the work that is waited for
            began = time.monotonic()

    def _open_work(self) -> dict[str, int]:
        with transaction() as db:
            counts = db.execute(_OPEN_WORK, self._delays()).mappings().one()
        return {name: count for name, count in counts.items() if count}

    def _next_due(self) -> datetime | None:
        with transaction() as db:
            due: datetime | None = db.execute(_NEXT_DUE, self._delays()).scalar_one()
        return due

    @staticmethod
    def _delays() -> dict[str, float]:
        return {"verdict_delay": settings().verdict_delay.total_seconds()}


def _set_environment(environment: Mapping[str, str]) -> None:
    """Replace this process's environment, and drop the engine and settings made from the previous one."""
    if database.engine.cache_info().currsize:
        database.engine().dispose()
    database.engine.cache_clear()
    settings.cache_clear()
    os.environ.clear()
    os.environ.update(environment)
