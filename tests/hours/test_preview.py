"""The preview says what would become of a change, and changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking_tasks.context import Context, Policies
from booking_tasks.contracts import PreviewAvailability, PreviewOutcome, SearchSlots
from booking_tasks.enums import RefusalCode
from booking_tasks.hours import tasks
from booking_tasks.hours.preview import preview_availability
from booking_tasks.kit.database import transaction
from booking_tasks.models import AvailabilitySlot, ConsultantPolicy
from booking_tasks.search import service as search
from tests import builders
from tests.builders import NOW
from tests.hours.test_ledger import OFFICE, declare, leave, rows


def preview(db: Session, ctx: Context, who: UUID, **values: Any) -> PreviewOutcome:
    query = PreviewAvailability.model_validate({"consultant_user_id": who} | values)
    return preview_availability(db, ctx, query)


def spans(found: Any) -> list[tuple[datetime, datetime]]:
    return [(one.start, one.end) for one in found]


def test_it_says_what_is_added_and_removed_and_writes_nothing(db: Session, ctx: Context) -> None:
    who = builders.consultant(db).consultant_user_id
    declare(db, ctx, who, weekly=OFFICE[:1])
    before = rows(db, who, "available")
    found = preview(db, ctx, who, hours={"weekly": [OFFICE[0] | {"end": "18:00"}]}, limit=2)
    monday = datetime(2027, 3, 1, 17, tzinfo=UTC)
    hour, week = timedelta(hours=1), timedelta(days=7)
    assert (found.added_count, found.removed_count) == (13, 0)
    assert spans(found.added) == [(monday, monday + hour), (monday + week, monday + week + hour)]
    assert rows(db, who, "available") == before


def test_what_lies_behind_is_no_change(db: Session, ctx: Context) -> None:
    who = builders.consultant(db).consultant_user_id
    declare(db, ctx, who, weekly=OFFICE[:1])
    found = preview(db, replace(ctx, now=NOW + timedelta(hours=3)), who, hours={})
    assert found.removed[0].start == NOW + timedelta(hours=3)
    assert (found.added_count, found.removed_count) == (0, 13)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hours": {"weekly": OFFICE[1:]}}, "hours"),
        ({"added_leave": [{"start": "2027-03-08T00:00", "end": "2027-03-09T00:00"}]}, "leave"),
        ({"time_zone": "America/New_York"}, "hours"),
        ({"holiday_region": "RU"}, "holiday"),
        ({"hours": {"weekly": OFFICE, "overrides": [{"day": "2027-03-08"}]}}, "hours"),
        ({"hours": {"weekly": OFFICE}}, None),
        ({}, None),
    ],
)
def test_it_names_the_sessions_that_would_be_orphaned(
    db: Session, ctx: Context, change: dict[str, Any], reason: str | None
) -> None:
    session = builders.booked_session(db, start=NOW + timedelta(days=7))
    declare(db, ctx, session.consultant_user_id, weekly=OFFICE)
    found = preview(db, ctx, session.consultant_user_id, **change)
    assert [(one.session_id, one.reason) for one in found.orphaned] == (
        [(session.id, reason)] if reason else []
    )


def test_a_session_that_is_uncovered_already_is_not_orphaned_once_more(db: Session, ctx: Context) -> None:
    session = builders.booked_session(db, start=NOW + timedelta(days=7))
    assert preview(db, ctx, session.consultant_user_id, hours={}).orphaned == ()


def test_leave_that_is_removed_is_time_added(db: Session, ctx: Context) -> None:
    who, leave_id = builders.consultant(db).consultant_user_id, uuid4()
    declare(db, ctx, who, weekly=OFFICE)
    leave(db, ctx, who, "2027-03-08T12:00", "2027-03-10T00:00", leave_id=leave_id)
    noon, nine = datetime(2027, 3, 8, 12, tzinfo=UTC), datetime(2027, 3, 9, 9, tzinfo=UTC)
    found = preview(db, ctx, who, removed_leave_ids=[leave_id])
    assert spans(found.added) == [(noon, noon.replace(hour=17)), (nine, nine.replace(hour=17))]
    assert found.removed_count == 0
    assert preview(db, ctx, who, removed_leave_ids=[uuid4()]).code == RefusalCode.UNKNOWN_LEAVE


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"consultant_user_id": uuid4()}, "unknown_consultant", None),
        ({"service_type_id": uuid4()}, "unknown_service_type", None),
        ({"holiday_region": "XX"}, "unknown_holiday_region", "holiday_region"),
        ({"hours": {"weekly": OFFICE[:1] * 2}}, "overlapping_hours", "weekly"),
    ],
)
def test_what_cannot_be_is_refused(
    db: Session, ctx: Context, values: dict[str, Any], code: str, field: str | None
) -> None:
    who = builders.consultant(db).consultant_user_id
    found = preview(db, ctx, who, **values)
    assert (found.result, found.code) == ("refused", code)
    assert [one.field for one in found.errors] == ([field] if field else [])


_QUARTERS = st.integers(0, 95).map(lambda number: f"{number // 4:02}:{15 * (number % 4):02}")
_DAY = st.integers(0, 20).map(lambda number: (date(2027, 3, 22) + timedelta(days=number)).isoformat())
_SPAN = st.fixed_dictionaries({"start": _QUARTERS, "end": _QUARTERS}).filter(
    lambda one: one["start"] != one["end"]
)


def _apart(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One for each day or weekday, so that none overlap."""
    return list({one.get("weekday", one.get("day")): one for one in spans}.values())


_WEEKLY = st.lists(
    st.builds(lambda day, span: {"weekday": day, **span}, st.integers(1, 7), _SPAN), max_size=5
)
_HOURS = st.fixed_dictionaries(
    {
        "weekly": _WEEKLY.map(_apart),
        "single": st.lists(st.builds(lambda day, span: {"day": day, **span}, _DAY, _SPAN), max_size=3).map(
            _apart
        ),
        "overrides": st.lists(
            st.builds(lambda day, hours: {"day": day, "hours": hours}, _DAY, st.lists(_SPAN, max_size=1)),
            max_size=2,
        ).map(_apart),
        "rule_sets": st.lists(
            st.builds(lambda day, weekly: {"valid_from": day, "weekly": _apart(weekly)}, _DAY, _WEEKLY),
            max_size=1,
        ),
        "travel": st.lists(
            st.builds(
                lambda day, zone: {"first_day": day, "last_day": day, "time_zone": zone},
                _DAY,
                st.sampled_from(("America/New_York", "Australia/Lord_Howe", "Pacific/Kiritimati")),
            ),
            max_size=1,
        ),
    }
)
_LEAVE = st.tuples(st.integers(0, 20 * 24), st.integers(1, 60)).map(
    lambda one: {
        "start": (datetime(2027, 3, 22) + timedelta(hours=one[0])).isoformat(),
        "end": (datetime(2027, 3, 22) + timedelta(hours=one[0] + one[1])).isoformat(),
    }
)


@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    _HOURS,
    _HOURS,
    st.lists(_LEAVE, max_size=2),
    st.sampled_from(("Europe/Berlin", "Africa/Casablanca")),
    st.booleans(),
)
def test_what_is_previewed_is_what_becomes_of_it(
    db: Session,
    first: dict[str, Any],
    second: dict[str, Any],
    away: list[dict[str, Any]],
    where: str,
    own_policy: bool,
) -> None:
    """Working time and slots after the change are those that were announced, over a change of clocks."""
    now, policies = datetime(2027, 3, 20, 10, tzinfo=UTC), Policies(horizon=timedelta(days=22))
    ctx = Context(now=now, actor="staff", entry_point="admin", policies=policies)
    savepoint = db.begin_nested()
    who = builders.consultant(db, time_zone=where).consultant_user_id
    service_type = builders.service_type(
        db, default_duration_minutes=45, slot_step_minutes=20, buffer_before_minutes=10
    )
    if own_policy:
        own = {"duration_minutes": 30, "minimum_notice_minutes": 26 * 60, "horizon_days": 9}
        db.add(ConsultantPolicy(consultant_user_id=who, consultation_service_type_id=service_type.id, **own))
        db.flush()
    declare(db, ctx, who, **first)
    before = _working(db, who, ctx)
    previewed = preview(
        db, ctx, who, hours=second, added_leave=away, service_type_id=service_type.id, limit=500
    )
    assert _working(db, who, ctx) == before
    declare(db, ctx, who, **second)
    for one in away:
        leave(db, ctx, who, one["start"], one["end"])
    after = _working(db, who, ctx)
    assert after - before == _quarters(spans(previewed.added))
    assert before - after == _quarters(spans(previewed.removed))
    query = SearchSlots(
        service_type_id=service_type.id,
        consultant_user_ids=(who,),
        start=ctx.now,
        limit=500,
        end=ctx.now + timedelta(days=40),
    )
    assert spans(search.search_slots(db, ctx, query).starts) == spans(previewed.slots)
    savepoint.rollback()


def _quarters(found: list[tuple[datetime, datetime]]) -> set[datetime]:
    step = timedelta(minutes=15)
    return {start + number * step for start, end in found for number in range((end - start) // step)}


def _working(db: Session, who: UUID, ctx: Context) -> set[datetime]:
    """The quarters of an hour ahead in which the ledger says that somebody works."""
    hours = _quarters(list(rows(db, who, "available").values()))
    return {one for one in hours - _quarters(list(rows(db, who, "unavailable").values())) if one >= ctx.now}


def test_as_a_task_it_runs_in_a_transaction_that_cannot_write(own_database: str) -> None:
    with transaction() as db:
        who = builders.consultant(db, time_zone="Europe/Vienna").consultant_user_id
    request = {"consultant_user_id": str(who), "hours": {"weekly": OFFICE}}
    answer = tasks.preview_availability.apply(kwargs={"request": request}).get()
    assert (answer["result"], answer["added_count"] > 50) == ("done", True)
    assert json.dumps(answer)
    with transaction() as db:
        assert db.scalar(select(func.count()).select_from(AvailabilitySlot)) == 0
