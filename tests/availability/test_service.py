"""Declaring hours, searching and taking time on real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from booking_tasks.availability import service
from booking_tasks.availability.service import Refusal, Reservation
from booking_tasks.context import Context
from booking_tasks.contracts import SearchSlots
from booking_tasks.models import AvailabilitySlot, ConsultationRequest, ServiceType
from booking_tasks.search import service as search
from tests import builders
from tests.builders import NOW


class Desk:
    """One consultant with a day of hours, one service type, and requests on demand."""

    def __init__(self, db: Session, ctx: Context, **service_type: object) -> None:
        self.db, self.ctx = db, ctx
        self.service_type: ServiceType = builders.service_type(db, **service_type)
        self.who = builders.consultant(db).consultant_user_id
        self.opening = NOW + timedelta(days=1)
        builders.window(db, self.who, self.opening, hours=4)

    def request(self, **values: object) -> ConsultationRequest:
        return builders.request(self.db, self.service_type.id, **values)

    def starts(self, ctx: Context | None = None) -> list[float]:
        """The offered starts, in hours after opening."""
        found = search.search_slots(self.db, ctx or self.ctx, self.query())
        return [(one.start - self.opening) / timedelta(hours=1) for one in found.starts]

    def query(self, **values: object) -> SearchSlots:
        return SearchSlots.model_validate(
            {
                "service_type_id": self.service_type.id,
                "start": self.opening - timedelta(hours=2),
                "end": self.opening + timedelta(hours=8),
                "consultant_user_ids": (self.who,),
            }
            | values
        )

    def hold(self, hour: float, minutes: int = 10, **values: object) -> Reservation | Refusal:
        start = self.opening + timedelta(hours=hour)
        until = self.ctx.now + timedelta(minutes=minutes)
        return service.hold_start(self.db, self.ctx, self.request(**values), self.who, start, until)


def test_starts_follow_the_step_and_end_inside_the_window(db: Session, ctx: Context) -> None:
    assert Desk(db, ctx).starts() == [0, 0.5, 1, 1.5, 2, 2.5, 3]


def test_a_start_is_offered_if_and_only_if_it_can_be_held(db: Session, ctx: Context) -> None:
    desk = Desk(db, ctx, buffer_before_minutes=15, buffer_after_minutes=10)
    assert isinstance(desk.hold(1), Reservation)
    offered = set(desk.starts())
    for quarter in range(-4, 20):
        savepoint = db.begin_nested()
        taken = isinstance(desk.hold(quarter / 4), Reservation)
        savepoint.rollback()
        assert taken == (quarter / 4 in offered), quarter / 4
    assert offered == {2.5, 3}


def test_a_held_start_is_taken_for_others_and_free_one_second_after_its_time(
    db: Session, ctx: Context
) -> None:
    desk = Desk(db, ctx)
    assert isinstance(desk.hold(0, minutes=10), Reservation)
    assert desk.hold(0) == Refusal("slot_taken")
    later = replace(ctx, now=ctx.now + timedelta(minutes=10, seconds=1))
    assert 0 in desk.starts(later)
    desk.ctx = later
    assert isinstance(desk.hold(0), Reservation)


def test_a_block_takes_the_time_it_covers_and_what_only_touches_it_stays(db: Session, ctx: Context) -> None:
    desk = Desk(db, ctx)
    db.add(
        AvailabilitySlot(
            consultant_user_id=desk.who,
            status="unavailable",
            source="leave",
            start_time=desk.opening + timedelta(hours=1),
            end_time=desk.opening + timedelta(hours=2),
        )
    )
    db.flush()
    assert desk.starts() == [0, 2, 2.5, 3]
    assert desk.hold(1) == Refusal("slot_not_free")


def test_notice_and_horizon_bound_what_is_offered(db: Session, ctx: Context) -> None:
    assert Desk(db, ctx, minimum_notice_minutes=25 * 60).starts() == [1, 1.5, 2, 2.5, 3]
    assert Desk(db, ctx, horizon_days=1).starts() == []


def test_a_requester_is_not_in_two_places_at_once(db: Session, ctx: Context) -> None:
    requester = uuid4()
    first, second = Desk(db, ctx), Desk(db, ctx)
    assert isinstance(first.hold(0, requester_user_id=requester), Reservation)
    assert second.hold(0.5, requester_user_id=requester) == Refusal("requester_busy")
    assert isinstance(second.hold(1, requester_user_id=requester), Reservation)


@pytest.mark.parametrize(
    ("reason", "query"),
    [
        ("no_skill", {"required_specializations": ("law",)}),
        ("no_consultant", {"consultant_user_ids": (uuid4(),)}),
        ("no_hours", {"start": NOW + timedelta(days=10), "end": NOW + timedelta(days=11)}),
    ],
)
def test_a_search_says_why_it_found_nothing(
    db: Session, ctx: Context, reason: str, query: dict[str, object]
) -> None:
    desk = Desk(db, ctx)
    outcome = search.search_slots(db, ctx, desk.query(**query))
    assert (outcome.starts, outcome.empty_reason) == ((), reason)


def test_a_full_day_is_distinguished_from_no_hours(db: Session, ctx: Context) -> None:
    desk = Desk(db, ctx, default_duration_minutes=240)
    assert isinstance(desk.hold(0), Reservation)
    assert search.search_slots(db, ctx, desk.query()).empty_reason == "all_taken"


def test_expired_holds_are_tidied_and_live_ones_stay(db: Session, ctx: Context) -> None:
    desk = Desk(db, ctx)
    desk.hold(0, minutes=5)
    desk.hold(2, minutes=50)
    later = replace(ctx, now=ctx.now + timedelta(minutes=10))
    assert service.expire_holds(db, later) == 1
    assert service.expire_holds(db, later) == 0


def test_free_slots_shows_readers_of_the_schema_what_is_free(db: Session) -> None:
    who = builders.consultant(db).consultant_user_id
    far = NOW.replace(year=NOW.year + 2)
    builders.window(db, who, far, hours=4)
    db.add(
        AvailabilitySlot(
            consultant_user_id=who,
            status="unavailable",
            source="leave",
            start_time=far + timedelta(hours=1),
            end_time=far + timedelta(hours=2),
        )
    )
    db.flush()
    rows = db.execute(text("SELECT start_time, end_time FROM free_slots ORDER BY start_time")).all()
    assert [tuple(row) for row in rows] == [
        (far, far + timedelta(hours=1)),
        (far + timedelta(hours=2), far + timedelta(hours=4)),
    ]
