"""A series is booked whole or not at all, and says which of its starts are in the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from booking_tasks.context import Context, Policies
from booking_tasks.contracts import BookSeries, Conflict, SeriesOutcome, SetAvailability
from booking_tasks.enums import RefusalCode
from booking_tasks.hours.service import set_availability
from booking_tasks.kit.database import transaction
from booking_tasks.models import AvailabilitySlot, ConsultationRequest, Event, Job, ScheduledSession
from booking_tasks.series import service
from booking_tasks.series.rules import starts_of
from tests import builders
from tests.builders import NOW
from tests.concurrent_transactions import overtaken
from tests.invariants import ALWAYS

FIRST = NOW + timedelta(days=1)
WEEK = timedelta(weeks=1)


class Course:
    """One consultant with four hours on six Tuesdays."""

    def __init__(self, db: Session, ctx: Context, **service_type: Any) -> None:
        self.db, self.ctx = db, ctx
        self.service_type = builders.service_type(db, **service_type)
        self.who = builders.consultant(db).consultant_user_id
        for week in range(6):
            builders.window(db, self.who, FIRST + week * WEEK, hours=4)

    def book(self, *starts: datetime, **values: Any) -> SeriesOutcome:
        values_sent = {
            "message_id": uuid4(),
            "actor": "shop",
            "series_id": uuid4(),
            "requester_user_id": uuid4(),
            "service_type_id": self.service_type.id,
            "consultant_user_id": self.who,
            "starts": starts,
        }
        outcome = service.book_series(self.db, self.ctx, BookSeries.model_validate(values_sent | values))
        assert [name for name, rows in ALWAYS.items() if self.db.execute(text(rows)).first()] == []
        return outcome

    def left(self) -> list[int | None]:
        booked = select(func.count()).where(AvailabilitySlot.status == "booked")
        return [
            self.db.scalar(booked),
            *(
                self.db.scalar(select(func.count()).select_from(model))
                for model in (ScheduledSession, Event, Job)
            ),
        ]


def test_every_start_is_booked_with_a_request_and_a_session_of_its_own(db: Session, ctx: Context) -> None:
    course = Course(db, ctx)
    series_id = uuid4()
    done = course.book(FIRST, weekly={"times": 6, "time_zone": "UTC"}, series_id=series_id)
    assert [one.start for one in done.sessions] == [FIRST + week * WEEK for week in range(6)]
    requests = db.scalars(select(ConsultationRequest).where(ConsultationRequest.series_id == series_id)).all()
    assert {one.id for one in requests} == {one.request_id for one in done.sessions}
    assert {one.status for one in requests} == {"scheduled"}


def test_one_conflict_books_nothing_and_all_conflicts_are_returned(db: Session, ctx: Context) -> None:
    course = Course(db, ctx)
    assert course.book(FIRST + 2 * WEEK).result == "done"
    before = course.left()
    refused = course.book(FIRST, weekly={"times": 7, "time_zone": "UTC"})
    assert (refused.result, refused.code, refused.sessions) == ("refused", "conflicts", ())
    assert refused.conflicts == (
        Conflict(start=FIRST + 2 * WEEK, code=RefusalCode.SLOT_TAKEN),
        Conflict(start=FIRST + 6 * WEEK, code=RefusalCode.SLOT_NOT_FREE),
    )
    assert course.left() == before
    assert db.scalar(select(func.count()).where(ConsultationRequest.series_id.is_not(None))) == 1


def test_starts_of_one_series_may_be_in_each_others_way(db: Session, ctx: Context) -> None:
    course = Course(db, ctx, max_sessions_per_day=2)
    starts = [FIRST, FIRST + timedelta(minutes=30), FIRST + timedelta(hours=1), FIRST + timedelta(hours=2)]
    refused = course.book(*starts)
    assert refused.conflicts == (
        Conflict(start=starts[1], code=RefusalCode.SLOT_TAKEN),
        Conflict(start=starts[3], code=RefusalCode.LIMIT_REACHED),
    )
    assert course.left() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"service_type_id": uuid4()}, "unknown_service_type"),
        ({"consultant_user_id": uuid4()}, "unknown_consultant"),
    ],
)
def test_what_is_unknown_is_refused(db: Session, ctx: Context, values: dict[str, object], code: str) -> None:
    assert Course(db, ctx).book(FIRST, **values).code == code


def test_who_confirms_each_booking_or_takes_none_is_not_booked_in_series(db: Session, ctx: Context) -> None:
    course = Course(db, ctx, requires_confirmation=True)
    assert course.book(FIRST).code == RefusalCode.MUST_BE_CONFIRMED
    assert course.book(FIRST, requester_user_id=course.who).code == RefusalCode.IS_THE_REQUESTER
    db.execute(text("UPDATE consultant_profiles SET is_available_for_booking = false"))
    assert course.book(FIRST).code == RefusalCode.NOT_AVAILABLE_FOR_BOOKING


def test_a_series_id_is_used_once(db: Session, ctx: Context) -> None:
    course = Course(db, ctx)
    ids = {"series_id": uuid4(), "requester_user_id": uuid4()}
    assert course.book(FIRST, **ids).result == "done"
    assert course.book(FIRST + WEEK, **ids).code == RefusalCode.SERIES_EXISTS


def test_a_weekly_start_is_the_same_wall_clock_time_through_a_change_of_clocks() -> None:
    command = BookSeries.model_validate(
        {
            "message_id": uuid4(),
            "actor": "shop",
            "series_id": uuid4(),
            "requester_user_id": uuid4(),
            "service_type_id": uuid4(),
            "consultant_user_id": uuid4(),
            "starts": [datetime(2027, 3, 23, 9, tzinfo=UTC)],
            "weekly": {"times": 2, "time_zone": "Europe/Vienna"},
        }
    )
    assert starts_of(command.starts, command.weekly) == [
        datetime(2027, 3, 23, 9, tzinfo=UTC),
        datetime(2027, 3, 30, 8, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("starts", "weekly"),
    [([], None), ([FIRST, FIRST], None), ([FIRST, FIRST + WEEK], {"times": 2, "time_zone": "UTC"})],
)
def test_starts_that_contradict_are_refused(starts: list[datetime], weekly: object) -> None:
    with pytest.raises(ValidationError):
        BookSeries.model_validate(
            {
                "message_id": uuid4(),
                "actor": "shop",
                "series_id": uuid4(),
                "requester_user_id": uuid4(),
                "service_type_id": uuid4(),
                "consultant_user_id": uuid4(),
                "starts": starts,
                "weekly": weekly,
            }
        )


@pytest.mark.parametrize("capacity", [2, 3, None])
def test_a_series_needs_capacity_for_all_its_sessions(
    db: Session, ctx: Context, capacity: int | None
) -> None:
    course = Course(db, ctx)
    assert course.book(FIRST).result == "done"
    db.execute(text("UPDATE consultant_profiles SET assignment_capacity = :most"), {"most": capacity})
    outcome = course.book(FIRST + WEEK, FIRST + 2 * WEEK)
    if capacity == 2:
        assert outcome.code == RefusalCode.AT_CAPACITY
        assert outcome.conflicts == ()
        assert course.left()[0] == 1
    else:
        assert outcome.result == "done"


@pytest.mark.parametrize("company", ["theirs", "another", None])
def test_a_series_of_a_consultant_of_companies_is_for_these_alone(
    db: Session, ctx: Context, company: str | None
) -> None:
    course, theirs = Course(db, ctx), uuid4()
    db.execute(text("UPDATE consultant_profiles SET company_ids = ARRAY[:one]::uuid[]"), {"one": theirs})
    company_id = {"theirs": theirs, "another": uuid4(), None: None}[company]
    outcome = course.book(FIRST, FIRST + WEEK, company_id=company_id)
    assert outcome.code == (None if company == "theirs" else RefusalCode.NOT_FOR_COMPANY)


def test_two_series_at_once_do_not_pass_the_capacity(own_database: str, ctx: Context) -> None:
    with transaction() as db:
        course = Course(db, ctx)
        db.execute(text("UPDATE consultant_profiles SET assignment_capacity = 3"))

    def book(*starts: datetime) -> Callable[[Session], SeriesOutcome]:
        def act(db: Session) -> SeriesOutcome:
            course.db = db
            return course.book(*starts)

        return act

    second = overtaken(book(FIRST, FIRST + WEEK), book(FIRST + 2 * WEEK, FIRST + 3 * WEEK))
    assert second.code == RefusalCode.AT_CAPACITY


def test_a_series_of_a_year_can_be_booked_where_the_horizon_is_as_long(db: Session, ctx: Context) -> None:
    year = replace(ctx, policies=Policies(horizon=timedelta(days=370)))
    course = Course(db, ctx, horizon_days=370)
    weekly = {"times": 52, "time_zone": "UTC"}
    far = course.book(FIRST, weekly=weekly)
    assert far.code == RefusalCode.CONFLICTS
    assert {one.code for one in far.conflicts if one.start > NOW + timedelta(days=90)} == {
        RefusalCode.BEYOND_HORIZON
    }
    hours = {"weekly": [{"weekday": 2, "start": "09:00", "end": "13:00"}]}
    message = {"message_id": uuid4(), "actor": "desk", "consultant_user_id": course.who}
    declared = SetAvailability.model_validate(message | hours)
    course.ctx = year
    assert set_availability(db, year, declared).result == "done"
    booked = course.book(FIRST, weekly=weekly)
    assert (booked.result, len(booked.sessions)) == ("done", 52)
