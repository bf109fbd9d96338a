"""Random lives of a ledger on real PostgreSQL; more of them with `--hypothesis-profile soak`.

Whatever is held, booked, moved, cancelled, and however hours and leave change in between: nothing
overlaps, what is offered is what can be booked, and the pieces of the ledger add up to the hours.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.availability.service import Reservation
from booking_tasks.availability.store import free_starts_by_consultant, free_time_by_consultant
from booking_tasks.catalogue import policies
from booking_tasks.context import Context, Policies
from booking_tasks.contracts import (
    BookSeries,
    CancelSession,
    ConfirmHold,
    HoldSlot,
    ReleaseHold,
    RenewHold,
    RescheduleSession,
    SetAvailability,
    SetConsultantPolicy,
    WeeklyHours,
)
from booking_tasks.holds import service as holds
from booking_tasks.hours import service as hours
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AvailabilitySlot, Consultant, ScheduledSession
from booking_tasks.series import service as series
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.builders import NOW
from tests.invariants import ALWAYS

DAYS = 3
QUARTER = timedelta(minutes=15)
#: Which weekly hours somebody may declare: (weekday, from, to).
WEEKS: tuple[tuple[tuple[int, int, int], ...], ...] = (
    (),
    ((1, 9, 17), (2, 9, 17), (3, 9, 17)),
    ((1, 10, 12), (1, 13, 15), (2, 22, 4), (3, 4, 8)),
    ((2, 0, 0), (3, 8, 20)),
)
OWN: tuple[dict[str, int], ...] = (
    {},
    {"duration_minutes": 45, "buffer_before_minutes": 15},
    {"max_sessions_per_day": 2, "max_minutes_per_week": 240},
)

people = st.integers(0, 1)
starts = st.integers(0, DAYS * 96).map(lambda number: NOW.replace(hour=0) + number * QUARTER)


class Ledger(RuleBasedStateMachine):
    """Two consultants in two zones, three days."""

    db: Session

    @initialize()
    def open(self) -> None:
        self.savepoint = self.db.begin_nested()
        self.ctx = Context(
            now=NOW, actor="test", entry_point="booking", policies=Policies(horizon=timedelta(days=DAYS))
        )
        self.service_type = builders.service_type(self.db, buffer_after_minutes=10).id
        self.who = [
            builders.consultant(self.db, time_zone=zone).consultant_user_id
            for zone in ("Europe/Vienna", "America/New_York")
        ]
        self.requesters = [uuid7() for _ in range(2)]
        self.held: list[tuple[UUID, UUID]] = []
        for one in self.who:
            self.hours(one, 1)

    def teardown(self) -> None:
        if hasattr(self, "savepoint"):
            self.savepoint.rollback()
            self.db.expunge_all()

    def say(self, use_case: Any, contract: Any, **values: Any) -> Any:
        command = contract.model_validate({"message_id": uuid4(), "actor": "test"} | values)
        outcome = use_case(self.db, self.ctx, command)
        self.db.flush()
        return outcome

    def hours(self, who: UUID, week: int) -> None:
        weekly = [WeeklyHours(weekday=day, start=time(a), end=time(b)) for day, a, b in WEEKS[week]]
        outcome = self.say(hours.set_availability, SetAvailability, consultant_user_id=who, weekly=weekly)
        assert outcome.result == "done"

    def sessions(self) -> list[ScheduledSession]:
        found = select(ScheduledSession).where(ScheduledSession.status == "scheduled")
        return list(self.db.execute(found.order_by(ScheduledSession.id)).scalars())

    # -- what people do ------------------------------------------------------------------------------

    @rule(one=people, week=st.integers(0, len(WEEKS) - 1))
    def change_hours(self, one: int, week: int) -> None:
        self.hours(self.who[one], week)

    @rule(one=people, own=st.sampled_from(OWN))
    def change_policy(self, one: int, own: dict[str, int]) -> None:
        self.say(
            policies.set_consultant_policy,
            SetConsultantPolicy,
            consultant_user_id=self.who[one],
            service_type_id=self.service_type,
            **own,
        )

    @rule(one=people, start=starts, quarters=st.integers(1, 60))
    def take_leave(self, one: int, start: datetime, quarters: int) -> None:
        self.db.add(
            AvailabilitySlot(
                consultant_user_id=self.who[one],
                status="unavailable",
                source="leave",
                start_time=start,
                end_time=start + quarters * QUARTER,
            )
        )
        self.db.flush()

    @rule()
    def come_back(self) -> None:
        self.db.execute(text("DELETE FROM consultant_availability_slots WHERE status = 'unavailable'"))

    @rule(one=people, start=starts, requester=people, minutes=st.integers(1, 60))
    def hold(self, one: int, start: datetime, requester: int, minutes: int) -> None:
        outcome = self.say(
            holds.hold_slot,
            HoldSlot,
            request_id=uuid7(),
            requester_user_id=self.requesters[requester],
            service_type_id=self.service_type,
            consultant_user_id=self.who[one],
            start=start,
            minutes=minutes,
        )
        if outcome.result == "done":
            self.held.append((outcome.request_id, outcome.hold_token))

    @precondition(lambda self: bool(self.held))
    @rule(number=st.integers(0, 99), what=st.sampled_from((RenewHold, ReleaseHold, ConfirmHold)))
    def answer_hold(self, number: int, what: Any) -> None:
        request_id, token = self.held[number % len(self.held)]
        self.say(getattr(holds, what.task), what, request_id=request_id, hold_token=token)

    @rule(one=people, start=starts, requester=people)
    def book(self, one: int, start: datetime, requester: int) -> None:
        self.say(
            series.book_series,
            BookSeries,
            series_id=uuid4(),
            requester_user_id=self.requesters[requester],
            service_type_id=self.service_type,
            consultant_user_id=self.who[one],
            starts=[start, start + timedelta(hours=2)],
        )

    @precondition(lambda self: bool(self.sessions()))
    @rule(number=st.integers(0, 99), quarters=st.integers(-8, 8))
    def move(self, number: int, quarters: int) -> None:
        there = self.sessions()
        session = there[number % len(there)]
        before = session.scheduled_start_time
        expected = before + quarters * QUARTER
        outcome = self.say(sessions.reschedule, RescheduleSession, session_id=session.id, new_start=expected)
        assert session.scheduled_start_time == (before if outcome.result == "refused" else expected)

    @precondition(lambda self: bool(self.sessions()))
    @rule(number=st.integers(0, 99))
    def cancel(self, number: int) -> None:
        there = self.sessions()
        session = there[number % len(there)]
        self.say(sessions.cancel, CancelSession, session_id=session.id, cancelled_by="user", reason="no time")

    @rule(quarters=st.integers(1, 12))
    def wait(self, quarters: int) -> None:
        self.ctx = replace(self.ctx, now=self.ctx.now + quarters * QUARTER)

    # -- what holds all the while --------------------------------------------------------------------

    @invariant()
    def nothing_is_broken(self) -> None:
        if hasattr(self, "who"):
            broken = [name for name, rows in ALWAYS.items() if self.db.execute(text(rows)).first()]
            assert broken == []

    @invariant()
    def offered_is_bookable(self) -> None:
        if not hasattr(self, "who"):
            return
        begin = NOW.replace(hour=0)
        number = int((self.ctx.now - NOW) / QUARTER)
        for who in self.who:
            found = free_starts_by_consultant(
                self.db, [who], self.service_type, begin, begin + timedelta(days=DAYS + 2), self.ctx.now
            )
            offered = {start for start, _ in found.get(who, [])}
            probes = {begin + (number * 7 + step * 41) % (DAYS * 96) * QUARTER for step in range(4)}
            for start in probes | set(sorted(offered)[:2]) | set(sorted(offered)[-1:]):
                assert self.can_be_held(who, start) == (start in offered), (who, start)

    def can_be_held(self, who: UUID, start: datetime) -> bool:
        savepoint = self.db.begin_nested()
        choice = builders.request(self.db, self.service_type)
        until = self.ctx.now + timedelta(days=9)
        taken = availability.hold_start(self.db, self.ctx, choice, who, start, until)
        savepoint.rollback()
        return isinstance(taken, Reservation)

    @invariant()
    def the_pieces_are_the_hours(self) -> None:
        if not hasattr(self, "who"):
            return
        begin, end = NOW - timedelta(days=2), NOW + timedelta(days=DAYS + 3)
        for who in self.who:
            rows = list(
                self.db.execute(
                    select(AvailabilitySlot)
                    .where(AvailabilitySlot.consultant_user_id == who)
                    .execution_options(populate_existing=True)
                ).scalars()
            )
            hours, taken = set[int](), set[int]()
            for row in rows:
                spans = hours if row.status == "available" else taken
                live = row.held_until is None or row.held_until > self.ctx.now
                if live:
                    spans |= _minutes(row.start_time, row.end_time)
            found = free_time_by_consultant(self.db, [who], begin, end, self.ctx.now)
            pieces = [_minutes(start, stop) for start, stop in found.get(who, [])]
            assert sum(map(len, pieces)) + len(hours & taken) == len(hours)
            assert set[int]().union(*pieces) == hours - taken


def _minutes(start: datetime, end: datetime) -> set[int]:
    return set(range((start - NOW) // timedelta(minutes=1), (end - NOW) // timedelta(minutes=1)))


def test_a_ledger_stays_sound_whatever_people_do(db: Session) -> None:
    class OnThisDatabase(Ledger):
        pass

    OnThisDatabase.db = db
    soak = settings.get_current_profile_name() == "soak"
    assert db.get(Consultant, uuid4()) is None
    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=400 if soak else 8,
            stateful_step_count=40 if soak else 16,
            deadline=None,
            database=None,
            derandomize=not soak,
            suppress_health_check=list(HealthCheck),
        ),
    )
