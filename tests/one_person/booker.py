"""One process of the concurrent bookings: what it draws, how it runs an operation and keeps the answer."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from booking_tasks.context import Context, Policies
from booking_tasks.contracts import Outcome, Query
from booking_tasks.kit.database import transaction
from booking_tasks.models import ScheduledSession
from tests.builders import NOW
from tests.one_person.examination import Findings, Refused
from tests.refusals.world import use_case

PEOPLE, DAYS, HOURS = 14, 2, 6
HOUR, HALF = timedelta(hours=1), timedelta(minutes=30)
FIRST = NOW + timedelta(days=1)
#: How fast the clock of the bookings runs: a hold of minutes ends within seconds.
SPEED = 60
#: Offers and confirmation requests end within five seconds; whoever waits for forty gives up.
POLICIES = Policies(
    assignment_deadline=timedelta(minutes=40),
    assignment_batch_time=timedelta(milliseconds=100),
    confirmation_deadline=timedelta(minutes=5),
    offer_time=timedelta(minutes=5),
)
#: The codes of a start that somebody else has.
TAKEN = frozenset({"slot_taken", "requester_busy", "slot_not_free"})


def business_time(began: float) -> datetime:
    """The time of the bookings, which every process reads from one clock of the machine."""
    return NOW + timedelta(seconds=(time.monotonic() - began) * SPEED)


class Booker:
    """Draws an operation, runs it in a transaction of its own, and remembers the answer."""

    def __init__(
        self, draw: random.Random, began: float, people: list[UUID], service_types: dict[bool, UUID]
    ) -> None:
        self._draw, self._began, self._people = draw, began, people
        self._service_types = service_types
        self.findings, self.count = Findings(), 0

    def step(self, name: str) -> None:
        """Run the operation of this name."""
        self.count += 1
        began = time.monotonic()
        try:
            with transaction() as db:
                ctx = Context(
                    now=business_time(self._began), actor="test", entry_point="booking", policies=POLICIES
                )
                getattr(self, name)(db, ctx)
        except Exception as error:  # noqa: BLE001 - each one is a fault; the others go on
            cause = getattr(error, "orig", error)
            state = getattr(cause, "sqlstate", None) or type(cause).__name__
            self.findings.errors[f"{name}: {state}: {str(cause).splitlines()[0][:120]}"] += 1
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
        minutes = self._draw.randint(1, 10)
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

    def _service_type(self) -> UUID:
        """One that is booked at once; seldom the one whose bookings the consultant must confirm."""
        return self._service_types[self._draw.random() < 0.25]

    def _must_be_over(self, outcome: Any, until: datetime) -> None:
        """Note a fault where something was refused as expired that is not over yet on any process's clock."""
        if until > business_time(self._began):
            self.findings.errors[f"{outcome.code} before its time"] += 1

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
