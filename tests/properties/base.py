"""What every run of the machine uses: what callers know, the clock, and how to read and run."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import psycopg
from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import text
from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.availability.service import Reservation
from booking_tasks.celery import TASK_MODULES, app, schedule_module
from booking_tasks.contracts import TASK_PREFIX, SearchSlots
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.models import AllowedStep, Base, SpecializationAlias
from booking_tasks.search import service as search
from booking_tasks.unit_of_work import unit_of_work
from tests import builders
from tests.accounts import as_superuser
from tests.builders import NOW
from tests.event_replay import of_history
from tests.invariants import (
    NEXT_DUE,
    SWEEP_FOR,
    TIME_PASSES,
    of_letters,
    of_rooms,
    of_rows,
    of_stream,
    still_open,
)
from tests.properties.booking_oracle import Judge
from tests.properties.fake_effects import DiedError, Edge, Fate

_SPACE = UUID("5eed0000-0000-4000-8000-000000000000")
SWEEPS = tuple(schedule_module().SWEEPS)
CONSULTANTS = [uuid5(_SPACE, name) for name in ("ada", "bob", "cleo")]
REQUESTERS = [uuid5(_SPACE, name) for name in ("mira", "noor", "sven")]
#: Booked at once, and only with a consultant's word.
SERVICES = [uuid5(_SPACE, name) for name in ("tutoring", "review")]
HORIZON_DAYS = 5
_ROUNDS = 30


class _UndoneError(Exception):
    """Ends a transaction that was only a try."""


class BaseMachine(RuleBasedStateMachine):
    """The service among its callers, on real rows. Time moves only by rules."""

    def __init__(self) -> None:
        super().__init__()
        for room in TASK_MODULES:
            importlib.import_module(room)
        self.edge = Edge()
        self._in_place = self.edge.in_place()
        self._in_place.__enter__()
        self.requests: list[UUID] = []
        #: As they stand after the last step, in the order they were agreed.
        self.sessions: list[dict[str, Any]] = []
        #: (request, token) of whatever was offered so far, in order.
        self.offers: list[tuple[UUID, UUID]] = []
        #: Steps of plans that propose another time.
        self.proposals: list[UUID] = []
        self.judge = Judge()
        self.sent: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = []

    def teardown(self) -> None:
        """The story goes on until nobody waits for anything any more."""
        try:
            if self.sent:
                self.run_to_the_end()
        finally:
            self._in_place.__exit__(None, None, None)

    # -- the book ------------------------------------------------------------------------------------

    def new_book(self) -> None:
        """Empty tables but for the people: three consultants, three requesters, two services."""
        with psycopg.connect(as_superuser(os.environ["DATABASE_URL"])) as superuser:
            superuser.execute("SET LOCAL session_replication_role = replica")
            for table in Base.metadata.tables.keys() - {AllowedStep.__tablename__}:
                superuser.execute(f"DELETE FROM {table}".encode())
        with transaction() as db:
            db.execute(text("INSERT INTO stepped_clock (instant) VALUES (:now)"), {"now": NOW})
            for service, confirmed in zip(SERVICES, (False, True), strict=True):
                buffers = (0, 0) if confirmed else (10, 20)
                builders.service_type(
                    db,
                    id=service,
                    requires_confirmation=confirmed,
                    horizon_days=HORIZON_DAYS,
                    buffer_before_minutes=buffers[0],
                    buffer_after_minutes=buffers[1],
                )
            for person in (*CONSULTANTS, *REQUESTERS):
                builders.user(db, user_id=person)
            for consultant in CONSULTANTS:
                builders.consultant(
                    db, consultant_user_id=consultant, specializations=["Algebra"], languages=["en"]
                )
            db.add(SpecializationAlias(alias="linear algebra", specialization="algebra"))

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction of the test itself: nobody dies in it."""
        doom, self.edge.deadly_commit = self.edge.deadly_commit, None
        with transaction() as db:
            yield db
        self.edge.deadly_commit = doom

    def now(self) -> datetime:
        """The business clock's instant."""
        with self.read() as db:
            instant: datetime = db.execute(text("SELECT instant FROM stepped_clock")).scalar_one()
        return instant

    def step(self, to: datetime) -> None:
        """Move the business clock."""
        with self.read() as db:
            db.execute(text("UPDATE stepped_clock SET instant = :to"), {"to": to})

    def next_due(self) -> datetime | None:
        """When something is due next of itself."""
        now = self.now()
        with self.read() as db:
            due: datetime | None = db.execute(
                text(NEXT_DUE), {"now": now, "verdict_delay": _verdict_delay()}
            ).scalar_one()
        return due

    def let_time_pass(self) -> None:
        """Real time goes by: leases and back-off are over."""
        with self.read() as db:
            for statement in TIME_PASSES:
                db.execute(text(statement))

    def request(self, which: int) -> str:
        """One of the requests so far."""
        return str(self.requests[which % len(self.requests)])

    def session(self, which: int) -> dict[str, Any]:
        """One of the sessions so far."""
        return self.sessions[which % len(self.sessions)]

    def ahead(self, which: int) -> dict[str, Any]:
        """One of the sessions that are still to come, where there is one."""
        now = self.now()
        ahead = [
            one for one in self.sessions if one["status"] == "scheduled" and one["scheduled_start_time"] > now
        ] or self.sessions
        return ahead[which % len(ahead)]

    # -- running ---------------------------------------------------------------------------------------

    def say(self, task: str, **body: Any) -> dict[str, Any] | None:
        """A new message; its answer, or None when whoever ran it died."""
        message = {"message_id": str(uuid5(_SPACE, f"message {len(self.sent)}")), "actor": "caller", **body}
        answer = self.answer(task, message)
        self.sent.append((task, message, answer))
        return answer

    def answer(self, task: str, message: dict[str, Any]) -> dict[str, Any] | None:
        """The same, for any message."""
        try:
            answer: dict[str, Any] = app.tasks[TASK_PREFIX + task](request=message)
        except DiedError:
            return None
        assert answer["code"] != "invalid", answer
        return answer

    def run(self, name: str) -> None:
        """A sweep, or the due jobs of a kind; whoever runs it may die."""
        with suppress(DiedError):
            app.tasks[TASK_PREFIX + name]()
        self.check_choices()

    def check_choices(self) -> None:
        """Nobody unqualified, nobody over a limit, nobody double: asked of what is new."""
        with self.read() as db:
            now = db.execute(text("SELECT instant FROM stepped_clock")).scalar_one()
            self._none(self.judge.check(db, now))

    def come_to_rest(self, fates: Sequence[Fate] = ()) -> None:
        """Everybody catches up: nothing is left to do afterwards, and everything is as it must be.

        The first effects may go wrong still, nothing else does any more.
        """
        self._catch_up(fates)
        self._check_all()

    def _catch_up(self, fates: Sequence[Fate] = ()) -> None:
        self.edge.calm()
        self.edge.will.fates += fates
        for _ in range(_ROUNDS):
            left = self._left()
            if not left:
                break
            self.let_time_pass()
            found = {SWEEP_FOR.get(one.partition(": ")[0]) for one in left}
            due = {one.split(": ")[1].partition(":")[0] for one in left if one.startswith("jobs due")}
            for name in [*(one for one in SWEEPS if one in found), *sorted(due)]:
                self.run(name)
        self._none(self._left())

    def run_to_the_end(self) -> None:
        """Go from one due moment to the next, then far ahead: every request and job has come to its end."""
        self.come_to_rest()
        for _ in range(8):
            due = self.next_due()
            if due is not None:
                self.step(due)
                self._catch_up()
        self.step(self.now() + timedelta(days=30))
        self.come_to_rest()
        with self.read() as db:
            unfinished = db.execute(
                text(
                    "SELECT id, status FROM consultation_requests"
                    " WHERE status NOT IN ('cancelled', 'completed', 'rejected')"
                    " UNION ALL SELECT id, job_type || state FROM jobs WHERE finished_at IS NULL"
                    " UNION ALL SELECT id, action || state FROM absence_plan_steps"
                    " WHERE state IN ('applied', 'offered')"
                )
            ).all()
        self._none([str(row) for row in unfinished])

    # -- judging ----------------------------------------------------------------------------------------

    def check_rows(self) -> None:
        """What is true after every transaction."""
        with self.read() as db:
            self._none(of_rows(db))
            found = db.execute(text("SELECT * FROM scheduled_sessions ORDER BY id")).mappings()
            self.sessions = [dict(row) for row in found]
            offered = db.execute(
                text("SELECT consultation_request_id, hold_token FROM time_offers ORDER BY id")
            )
            self.offers = [(request, token) for request, token in offered]
            proposed = text("SELECT id FROM absence_plan_steps WHERE action = 'propose' ORDER BY id")
            self.proposals = list(db.execute(proposed).scalars())

    def _check_all(self) -> None:
        """What is true when all is calm."""
        platform = self.edge.platform
        with self.read() as db:
            wrong = [
                *of_history(db, settings().policies),
                *of_letters(db, self.edge.mails, settings().uid_domain),
                *of_rooms(db, platform.open, platform.made),
                *of_stream(db, self.edge.published),
            ]
        self._none([*wrong, *platform.wrong])

    @staticmethod
    def _none(wrong: list[str]) -> None:
        assert not wrong, "\n".join(wrong)

    def _left(self) -> list[str]:
        now = self.now()
        with self.read() as db:
            return still_open(db, now, _verdict_delay())

    def offered(self, service: UUID) -> list[tuple[UUID, datetime]]:
        """Every start that a search offers at this moment."""
        with self.read(), unit_of_work("query", "booking") as (db, ctx):
            until = ctx.now + timedelta(days=HORIZON_DAYS + 1)
            query = SearchSlots(service_type_id=service, start=ctx.now, end=until, limit=500)
            found = search.search_slots(db, ctx, query)
        return [(one.consultant_user_id, one.start) for one in found.starts]

    def bookable(self, service: UUID, consultant: UUID, start: datetime) -> bool:
        """Whether a start can be taken at this moment; it is not."""
        taken = False
        try:
            with self.read(), unit_of_work("test", "booking") as (db, ctx):
                request, until = builders.request(db, service), ctx.now + timedelta(days=1)
                found = availability.hold_start(db, ctx, request, consultant, start, until)
                taken = isinstance(found, Reservation)
                raise _UndoneError
        except _UndoneError:
            return taken


def _verdict_delay() -> float:
    return settings().verdict_delay.total_seconds()
