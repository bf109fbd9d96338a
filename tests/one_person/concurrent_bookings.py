"""Fourteen people who consult and ask, and processes that book, move and end their sessions at once.

Each process draws its operations from a seed. Afterwards the rows are compared with the promises
(examination.py).
"""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta
from functools import partial
from multiprocessing import get_context
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from booking_tasks.absence.announcement import announce_due_plan
from booking_tasks.availability import service as availability
from booking_tasks.context import Context
from booking_tasks.contracts import (
    AnswerProposal,
    ApplyAbsencePlan,
    BookSeries,
    CancelSession,
    ConfirmHold,
    HoldSlot,
    Outcome,
    PlanAbsence,
    Query,
    ReassignSession,
    ReleaseHold,
    RenewHold,
    RescheduleSession,
    SubmitRequest,
    UndoAbsencePlan,
)
from booking_tasks.intake import service as intake
from booking_tasks.kit import database
from booking_tasks.kit.database import transaction
from booking_tasks.models import AbsencePlan, AbsencePlanStep, ScheduledSession
from tests import builders
from tests.accounts import as_superuser
from tests.builders import NOW
from tests.one_person.examination import HISTORY, Findings, Refused, Report, examine
from tests.refusals.world import use_case

PEOPLE, DAYS, HOURS = 14, 2, 6
HOUR, HALF = timedelta(hours=1), timedelta(minutes=30)
FIRST = NOW + timedelta(days=1)
BUFFER = timedelta(minutes=15)
#: How fast the clock of the bookings runs: a hold of minutes ends within seconds.
SPEED = 60
#: The codes of a start that somebody else has.
TAKEN = frozenset({"slot_taken", "requester_busy", "slot_not_free"})


def prepare(url: str) -> None:
    """Make the people with their hours, and remember from now on who is where; `url` is this process's."""
    with psycopg.connect(as_superuser(url), autocommit=True) as superuser:
        superuser.execute(HISTORY.encode())
    with transaction() as db:
        builders.service_type(db, buffer_after_minutes=BUFFER // timedelta(minutes=1), slot_step_minutes=30)
        for _ in range(PEOPLE):
            who = builders.consultant(db).consultant_user_id
            builders.user(db, user_id=who)
            for day in range(DAYS):
                builders.window(db, who, FIRST + timedelta(days=day), HOURS)


def run(url: str, seed: int, processes: int, *, operations: int = 0, seconds: float = 0) -> Report:
    """Run so many operations in each process, or for so long, and examine what came about."""
    began = time.monotonic()
    work = partial(_worker, seed=seed, began=began, operations=operations, seconds=seconds)
    database.engine().dispose()
    findings = Findings()
    with get_context("fork").Pool(processes) as pool:
        for found in pool.map(work, range(processes), chunksize=1):
            findings.add(found)
    return examine(url, findings, _now(began), HOUR + BUFFER)


def _now(began: float) -> datetime:
    return NOW + timedelta(seconds=(time.monotonic() - began) * SPEED)


def _worker(number: int, *, seed: int, began: float, operations: int, seconds: float) -> Findings:
    database.forget_inherited_connections()
    database.engine.cache_clear()
    with transaction() as db:
        people = list(db.execute(text("SELECT consultant_user_id FROM consultant_profiles")).scalars())
        service_type_id = db.execute(text("SELECT id FROM consultation_service_types")).scalar_one()
    booker = _Booker(random.Random(f"{seed}/{number}"), began, sorted(people), service_type_id)
    while booker.count < operations or time.monotonic() - began < seconds:
        booker.step()
    database.engine().dispose()
    return booker.findings


class _Booker:
    """One process: draws an operation, runs it in a transaction of its own, and remembers the answer."""

    def __init__(self, draw: random.Random, began: float, people: list[UUID], service_type_id: UUID) -> None:
        self._draw, self._began, self._people = draw, began, people
        self._service_type_id = service_type_id
        self._holds: list[dict[str, Any]] = []
        self._operations = [getattr(self, f"_{name}") for name in OPERATIONS for _ in range(OPERATIONS[name])]
        self.findings, self.count = Findings(), 0

    def step(self) -> None:
        operation = self._draw.choice(self._operations)
        self.count += 1
        began = time.monotonic()
        try:
            with transaction() as db:
                operation(db, Context(now=_now(self._began), actor="test", entry_point="booking"))
        except Exception as error:  # noqa: BLE001 - each one is a fault; the others go on
            cause = getattr(error, "orig", error)
            state = getattr(cause, "sqlstate", None) or type(cause).__name__
            self.findings.errors[f"{operation.__name__}: {state}: {str(cause).splitlines()[0][:120]}"] += 1
        took = timedelta(seconds=time.monotonic() - began)
        self.findings.longest = max(self.findings.longest, took)

    def _send(
        self,
        db: Session,
        ctx: Context,
        contract: type[Query[Any]],
        *tried: tuple[list[UUID], datetime],
        **values: Any,
    ) -> Any:
        """The outcome of a command; `tried` are the starts that a refusal is about, with their people."""
        minutes = self._draw.randint(1, 4)
        defaults = {"message_id": uuid4(), "actor": "test", "reason": "ill", "minutes": minutes}
        defaults = {name: value for name, value in defaults.items() if name in contract.model_fields}
        since = db.execute(text("SELECT clock_timestamp()")).scalar_one()
        outcome: Outcome = use_case(contract)(db, ctx, contract.model_validate(defaults | values))
        until = db.execute(text("SELECT clock_timestamp()")).scalar_one()
        self.findings.done[f"{contract.task} {outcome.result}"] += 1
        if outcome.code is not None:
            self.findings.refused[f"{contract.task} {outcome.code}"] += 1
        conflicts = {one.start for one in getattr(outcome, "conflicts", ()) if one.code in TAKEN}
        for people, start in tried:
            if outcome.code in TAKEN or start in conflicts:
                self.findings.taken.append(Refused(people, start, since, until))
        return outcome

    def _start(self) -> datetime:
        day = FIRST + timedelta(days=self._draw.randrange(DAYS))
        return day + HALF * self._draw.randrange(2 * HOURS - 1)

    def _pair(self) -> dict[str, UUID]:
        requester, consultant = self._draw.sample(self._people, 2)
        return {"requester_user_id": requester, "consultant_user_id": consultant}

    def _session(self, db: Session) -> Any:
        """A session that may still be changed, with who serves it; its ids alone, it is not locked."""
        found = select(
            ScheduledSession.id,
            ScheduledSession.consultant_user_id,
            ScheduledSession.requester_user_id,
            ScheduledSession.scheduled_start_time,
        ).where(ScheduledSession.status == "scheduled")
        rows = db.execute(found.order_by(ScheduledSession.id)).all()
        return self._draw.choice(rows) if rows else None

    def _book(self, db: Session, ctx: Context) -> None:
        pair, start = self._pair(), self._start()
        window = {"preferred_start": start, "preferred_end": start + 2 * HOUR}
        values = {"requester_user_id": pair["requester_user_id"], "service_type_id": self._service_type_id}
        preferred = pair["consultant_user_id"]
        self._send(
            db,
            ctx,
            SubmitRequest,
            request_id=uuid4(),
            preferred_consultant_user_id=preferred,
            **window | values,
        )

    def _series(self, db: Session, ctx: Context) -> None:
        pair, start = self._pair(), self._start()
        starts = [start, start + timedelta(days=1) if start < FIRST + timedelta(days=1) else start + 2 * HOUR]
        starts = [one for one in starts if (one - FIRST) % timedelta(days=1) <= HOURS * HOUR - HOUR]
        people = list(pair.values())
        self._send(
            db,
            ctx,
            BookSeries,
            *((people, one) for one in starts),
            series_id=uuid4(),
            service_type_id=self._service_type_id,
            starts=starts,
            **pair,
        )

    def _hold(self, db: Session, ctx: Context) -> None:
        pair, start = self._pair(), self._start()
        values = {"request_id": uuid4(), "service_type_id": self._service_type_id, "start": start}
        held = self._send(db, ctx, HoldSlot, (list(pair.values()), start), **pair | values)
        if held.result == "done":
            self._holds.append({"request_id": held.request_id, "hold_token": held.hold_token})

    def _own_hold(self) -> dict[str, Any] | None:
        return self._draw.choice(self._holds[-6:]) if self._holds else None

    def _renew(self, db: Session, ctx: Context) -> None:
        if hold := self._own_hold():
            self._send(db, ctx, RenewHold, **hold)

    def _confirm(self, db: Session, ctx: Context) -> None:
        if hold := self._own_hold():
            self._send(db, ctx, ConfirmHold, **hold)

    def _release(self, db: Session, ctx: Context) -> None:
        if hold := self._own_hold():
            self._send(db, ctx, ReleaseHold, **hold)

    def _expire(self, db: Session, ctx: Context) -> None:
        self.findings.done["expired"] += availability.expire_holds(db, ctx)

    def _give_up(self, db: Session, ctx: Context) -> None:
        overdue = intake.overdue_requests(db, ctx)
        if overdue:
            self.findings.done["given up"] += intake.give_up(db, ctx, self._draw.choice(overdue))

    def _move(self, db: Session, ctx: Context) -> None:
        """Half of the moves are onto a part of the session's own time."""
        session = self._session(db)
        if session is None:
            return
        start = session.scheduled_start_time + HALF if self._draw.random() < 0.5 else self._start()
        if (start - FIRST) % timedelta(days=1) > HOURS * HOUR - HOUR:
            return
        people = [session.consultant_user_id, session.requester_user_id]
        self._send(db, ctx, RescheduleSession, (people, start), session_id=session.id, new_start=start)

    def _cancel(self, db: Session, ctx: Context) -> None:
        session = self._session(db)
        if session is not None:
            side = self._draw.choice(["user", "consultant"])
            self._send(db, ctx, CancelSession, session_id=session.id, cancelled_by=side)

    def _reassign(self, db: Session, ctx: Context) -> None:
        session = self._session(db)
        if session is None:
            return
        named = self._draw.choice([None, *self._people[::2]])
        people = [named or session.consultant_user_id, session.requester_user_id]
        start = session.scheduled_start_time
        who = {"consultant_user_id": named} if named else {}
        self._send(db, ctx, ReassignSession, (people, start), session_id=session.id, **who)

    def _plan(self, db: Session, ctx: Context) -> None:
        """Draft a plan for a person's day; another operation applies it."""
        day = FIRST.replace(hour=0, tzinfo=None) + timedelta(days=self._draw.randrange(DAYS))
        absent = {"consultant_user_id": self._draw.choice(self._people)}
        self._send(db, ctx, PlanAbsence, plan_id=uuid4(), start=day, end=day + timedelta(days=1), **absent)

    def _plan_id(self, db: Session, *states: str) -> UUID | None:
        found = select(AbsencePlan.id).where(AbsencePlan.state.in_(states)).order_by(AbsencePlan.id.desc())
        rows = list(db.execute(found.limit(4)).scalars())
        return self._draw.choice(rows) if rows else None

    def _substitute(self, db: Session, ctx: Context) -> None:
        if plan_id := self._plan_id(db, "draft"):
            self._send(db, ctx, ApplyAbsencePlan, plan_id=plan_id)

    def _undo(self, db: Session, ctx: Context) -> None:
        if plan_id := self._plan_id(db, "applied"):
            self._send(db, ctx, UndoAbsencePlan, plan_id=plan_id)

    def _announce(self, db: Session, ctx: Context) -> None:
        if plan_id := self._plan_id(db, "applied"):
            skipped = announce_due_plan(db, ctx, plan_id)
            self.findings.done[f"announced {skipped or 'done'}"] += 1

    def _answer(self, db: Session, ctx: Context) -> None:
        found = select(AbsencePlanStep.id).where(AbsencePlanStep.state == "offered")
        rows = list(db.execute(found.order_by(AbsencePlanStep.id)).scalars())
        if rows:
            accepted = self._draw.random() < 0.7
            self._send(db, ctx, AnswerProposal, proposal_id=self._draw.choice(rows), accepted=accepted)


#: Each operation and its share of all of them.
OPERATIONS = {
    "book": 4,
    "series": 2,
    "hold": 5,
    "renew": 1,
    "confirm": 3,
    "release": 1,
    "expire": 1,
    "give_up": 1,
    "move": 4,
    "cancel": 3,
    "reassign": 3,
    "plan": 1,
    "substitute": 1,
    "undo": 1,
    "announce": 1,
    "answer": 1,
}
