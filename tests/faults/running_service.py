"""The service as it runs in production, on servers that may be killed, and callers that never give up."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as wall_clock
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4, uuid5

import psycopg
from redis import Redis
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from booking_tasks.client import BookingClient, NoAnswerError, NotSentError
from booking_tasks.contracts import Command, Outcome, SetAvailability, SubmitRequest, WeeklyHours
from booking_tasks.hours.service import set_availability
from booking_tasks.kit.database import transaction
from booking_tasks.models import Consultant, DirectoryUser, ScheduledSession, ServiceType
from booking_tasks.ops.local_stack import LocalStack, LocalStackError
from booking_tasks.ops.servers import Postgres, Server, Valkey, wait_until
from booking_tasks.ops.service_processes import EFFECTS, FRONT
from booking_tasks.unit_of_work import unit_of_work
from tests.accounts import as_deployed, as_role, migrate_with_roles
from tests.rabbitmq_server import RabbitMQ

#: A Monday, far from any change of clocks; the bookings are for the days after it.
MONDAY = datetime(2027, 3, 1, 7, 0, tzinfo=UTC)
TUESDAY = datetime(2027, 3, 2, tzinfo=UTC)
_FAMILY = UUID("2f4be4a5-14c6-4bb5-b1b7-6f3bd3c7a8f1")
_CALLERS = 8
_TEMPLATE = "template_booking"
_READY_SECONDS = 90

#: For what is to see no outcome lost: on a slow machine, too, mail server and platform answer in this time.
PATIENT = {"BOOKING_LEASE": "6s", "BOOKING_SMTP_TIMEOUT": "2.9s", "BOOKING_MEETING_TIMEOUT": "2.9s"}

AnswerT = TypeVar("AnswerT")


def identity(name: str) -> UUID:
    """The same name is the same id in every run."""
    return uuid5(_FAMILY, name)


@dataclass
class Book:
    """What the callers know: what they sent, and what was answered. Their own, outside the service."""

    sent: dict[UUID, Command[Any]] = field(default_factory=dict)
    answers: dict[UUID, Outcome] = field(default_factory=dict)
    send_attempts: int = 0

    @property
    def accepted(self) -> set[UUID]:
        """Ids of the messages that the service said yes to."""
        return {one for one, answer in self.answers.items() if answer.result in {"done", "already_done"}}


class RunningService:
    """One running service with its world: mail server, meeting platform, clock, callers.

    The servers are the caller's, so that it may kill them; the stepped clock stands at `MONDAY`.
    """

    def __init__(self, database_url: str, redis_url: str, **knobs: str) -> None:
        usual = {
            "BOOKING_SWEEP_INTERVAL": "0.3s",
            "BOOKING_LEASE": "3s",
            "BOOKING_SMTP_TIMEOUT": "1.4s",
            "BOOKING_MEETING_TIMEOUT": "1.4s",
        }
        self.stage = LocalStack(database_url, redis_url, **usual | knobs)
        self.stack, self.mail, self.platform = self.stage.service, self.stage.mail, self.stage.platform
        self.redis_url = redis_url
        self.broker_url = knobs.get("CELERY_BROKER_URL", redis_url)
        self.book = Book()

    @contextmanager
    def open(self, consultants: int, people: int) -> Iterator[RunningService]:
        """The stage with a catalogue; no worker and no beat runs yet."""
        with self.stage:
            self.stage.step(MONDAY)
            self._fill(consultants, people)
            try:
                yield self
            finally:
                self.stack.kill()  # all was seen by now; how processes end when told is tested elsewhere

    def _fill(self, consultants: int, people: int) -> None:
        self.people = [identity(f"person {number}") for number in range(people)]
        self.consultants = [identity(f"consultant {number}") for number in range(consultants)]
        self.service_type_id = identity("tutoring")
        with unit_of_work("setup", "admin") as (db, ctx):
            db.add(
                ServiceType(
                    id=self.service_type_id,
                    name="Tutoring",
                    default_duration_minutes=30,
                    buffer_after_minutes=5,
                    waiting_list="book",
                )
            )
            for user in (*self.people, *self.consultants):
                email = f"{user.hex}@example.org"
                db.add(DirectoryUser(user_id=user, name="Mira Lang", email=email, time_zone="Europe/Vienna"))
            for number, user in enumerate(self.consultants):
                db.add(Consultant(consultant_user_id=user, specializations=[skill(number)]))
                db.flush()
                set_availability(db, ctx, _whole_days(user))

    def start(self) -> None:
        """Two workers by queue and a beat."""
        self.stack.worker("front", FRONT)
        self.stack.worker("effects", EFFECTS)
        self.stack.beat()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Until every process gave its first heartbeat."""
        for process in self.stack.processes:
            wait_until(process.heartbeat.exists, f"the start of {process.name}", _READY_SECONDS)

    def requests(self, count: int, chance: random.Random, days: int = 2) -> list[SubmitRequest]:
        """Requests of which several want the same time of the same few consultants."""
        return [self._request(number, chance, days) for number in range(count)]

    def _request(self, number: int, chance: random.Random, days: int) -> SubmitRequest:
        start = TUESDAY + timedelta(minutes=30 * chance.randrange(48 * days))
        return SubmitRequest(
            message_id=identity(f"wish {number}"),
            actor="shop",
            request_id=identity(f"request {number}"),
            requester_user_id=chance.choice(self.people),
            service_type_id=self.service_type_id,
            preferred_start=start,
            preferred_end=start + timedelta(minutes=30 * chance.choice((1, 4, 8))),
            required_specializations=(skill(chance.randrange(len(self.consultants))),),
            details=f"wish {number}",
        )

    def call(self, messages: Sequence[Command[Any]], seconds: float = 240) -> None:
        """Send each until it is answered, as every caller should; several callers at once."""
        waiting, lock = list(reversed(messages)), threading.Lock()
        end = time.monotonic() + seconds

        def next_one() -> Command[Any] | None:
            with lock:
                return waiting.pop() if waiting else None

        def caller(_: int) -> None:
            client = BookingClient(self.broker_url)
            while (message := next_one()) is not None:
                self._insist(client, message, end)
            client.close()

        with ThreadPoolExecutor(_CALLERS) as pool:
            list(pool.map(caller, range(_CALLERS)))

    def _insist(self, client: BookingClient, message: Command[Any], end: float) -> None:
        self.book.sent[message.message_id] = message
        pause, timeout = threading.Event(), 3.0
        while time.monotonic() < end:
            self.book.send_attempts += 1
            with suppress(NoAnswerError, NotSentError):
                answer = client.send(message, wait=True).outcome(timeout=timeout)
                if answer.result != "try_later":
                    self.book.answers[message.message_id] = answer
                    return
            pause.wait(0.2)
            timeout = min(timeout * 1.5, 60.0)  # repeats must not come faster than a slow machine answers
        raise LocalStackError(f"{message.task} {message.message_id} got no answer in time")

    def every(self, answers: int) -> Callable[[], bool]:
        """Whether so many more requests were answered since it last said so: it counts work, not time."""
        goal = answers

        def due() -> bool:
            nonlocal goal
            answered = len(self.book.answers)
            if answered < goal:
                return False
            goal = answered + answers
            return True

        return due

    def calm(self, seconds: float = 120) -> float:
        """Wait until nothing is left to do at this instant; how many seconds that took.

        Raises LocalStackError once nothing has been done for so many seconds.
        """
        began = time.monotonic()
        while True:
            try:
                self.stage.settle(seconds)
            except DBAPIError:
                if time.monotonic() - began > seconds:
                    raise
            else:
                return time.monotonic() - began

    def live_through(self, until: datetime, hop: timedelta = timedelta(hours=6)) -> None:
        """Step the clock to `until`, doing at each hop what is due by then."""
        while (now := _patiently(self.stage.now)) < until:
            _patiently(partial(self.stage.step, min(until, now + hop)))
            self.calm()
        # New windows at the end of the horizon may be offered to who waits: only then nothing more follows.
        wait_until(
            partial(_patiently, self.stage.has_extended_windows), "the day's new windows", _READY_SECONDS
        )
        self.calm()

    def sessions(self) -> list[ScheduledSession]:
        """Every session there is, oldest first."""
        with transaction() as db:
            return list(db.execute(select(ScheduledSession).order_by(ScheduledSession.id)).scalars())


def _patiently(ask: Callable[[], AnswerT], seconds: float = 60) -> AnswerT:
    """Ask a database that may be away for a moment."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while True:
        try:
            return ask()
        except DBAPIError:
            if time.monotonic() > end:
                raise
        pause.wait(0.1)


def listening(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def skill(number: int) -> str:
    """What two consultants each can do."""
    return f"skill {number // 2}"


def _whole_days(consultant: UUID) -> SetAvailability:
    hours = tuple(WeeklyHours(weekday=day, start=wall_clock(0), end=wall_clock(0)) for day in range(1, 8))
    return SetAvailability(message_id=uuid4(), actor="setup", consultant_user_id=consultant, weekly=hours)


@dataclass(frozen=True)
class Servers:
    """A PostgreSQL and a broker of one's own, to be killed at will; events are in the Valkey on both."""

    postgres: Postgres
    valkey: Valkey
    rabbitmq: RabbitMQ | None = None

    @property
    def broker(self) -> Server:
        return self.rabbitmq or self.valkey

    @property
    def broker_settings(self) -> dict[str, str]:
        """The settings of a service whose messages RabbitMQ carries; none on Valkey."""
        return {"CELERY_BROKER_URL": self.rabbitmq.url()} if self.rabbitmq is not None else {}

    def fresh(self) -> tuple[str, str]:
        """A migrated database and an empty broker; their URLs."""
        name = f"booking_{uuid4().hex[:12]}"
        with psycopg.connect(self.postgres.url(), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}".encode())
            as_deployed(admin, name)
        with Redis.from_url(self.valkey.url()) as redis:
            redis.flushall()
        return as_role(self.postgres.url(name)), self.valkey.url()


@contextmanager
def own_servers(folder: Path, *, durable: bool = True, broker: str = "valkey") -> Iterator[Servers]:
    """Servers that belong to one module and die with it; `broker` is valkey or rabbitmq."""
    with (
        Postgres(folder / "postgres", durable=durable) as postgres,
        Valkey(folder / "valkey") as valkey,
        RabbitMQ(folder / "rabbitmq") if broker == "rabbitmq" else nullcontext() as rabbitmq,
    ):
        with psycopg.connect(postgres.url(), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {_TEMPLATE}".encode())
        migrate_with_roles(postgres.url(_TEMPLATE))
        if rabbitmq is not None:
            rabbitmq.declare_queues()
        yield Servers(postgres, valkey, rabbitmq)


class Nuisance:
    """Something done again and again, in a thread of its own, while the `with` block runs.

    Before each time it pauses, and goes on pausing until it is `due`; `count` says how often it was done.
    """

    def __init__(
        self, act: Callable[[], None], pauses: Callable[[], float], due: Callable[[], bool] = lambda: True
    ) -> None:
        self._act, self._pauses, self._due = act, pauses, due
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="nuisance")
        self.count = 0

    def _run(self) -> None:
        try:
            while not self._over.wait(self._pauses()):
                if self._due():
                    self._act()
                    self.count += 1
        except BaseException as error:  # noqa: BLE001 - handed on to whoever started it
            self._error = error

    def __enter__(self) -> Nuisance:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
