"""Days and weeks of the limits are those of the place where the consultant is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from booking_tasks.availability.service import free_time
from booking_tasks.batch import store as batch
from booking_tasks.context import Context
from booking_tasks.contracts import HoldSlot
from booking_tasks.holds import service as holds
from booking_tasks.hours.rules import TravelPeriod, local_day
from booking_tasks.kit.time_zones import zone
from tests import builders
from tests.hours.test_ledger import declare

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
VIENNA, TOKYO, HONOLULU = "Europe/Vienna", "Asia/Tokyo", "Pacific/Honolulu"
#: Wednesday to Friday; NOW is Monday 1 March 2027, 09:00 UTC.
_TRIPS = [
    {"first_day": "2027-03-10", "last_day": "2027-03-12", "time_zone": TOKYO},
    {"first_day": "2027-03-17", "last_day": "2027-03-19", "time_zone": HONOLULU},
]
_ALL_DAY = [{"weekday": day, "start": "00:00", "end": "24:00"} for day in range(1, 8)]
_TRAVEL = tuple(
    TravelPeriod(
        date.fromisoformat(one["first_day"]), date.fromisoformat(one["last_day"]), zone(one["time_zone"])
    )
    for one in _TRIPS
)


def consultant(db: Session, ctx: Context) -> UUID:
    who = builders.consultant(db, time_zone=VIENNA).consultant_user_id
    builders.user(db, user_id=who, name="Dr Okafor")
    declare(db, ctx, who, weekly=_ALL_DAY, travel=_TRIPS)
    return who


def hold(db: Session, ctx: Context, who: UUID, service_type_id: UUID, start: datetime) -> str | None:
    command = HoldSlot.model_validate(
        {
            "message_id": uuid4(),
            "actor": "web",
            "request_id": uuid4(),
            "requester_user_id": builders.user(db).user_id,
            "consultant_user_id": who,
            "service_type_id": service_type_id,
            "start": start,
        }
    )
    return holds.hold_slot(db, ctx, command).code


#: First session -> other starts, and whether they are on the same day where the consultant is.
_SAME_DAY = {
    # Tokyo, 11 March: from 10 March 15:00 UTC to 11 March 15:00 UTC
    datetime(2027, 3, 10, 23, tzinfo=UTC): {
        datetime(2027, 3, 10, 15, tzinfo=UTC): True,
        datetime(2027, 3, 10, 14, tzinfo=UTC): False,
        datetime(2027, 3, 11, 14, tzinfo=UTC): True,
        datetime(2027, 3, 11, 15, tzinfo=UTC): False,
    },
    # Honolulu, 18 March: from 18 March 10:00 UTC to 19 March 10:00 UTC
    datetime(2027, 3, 19, 2, tzinfo=UTC): {
        datetime(2027, 3, 18, 10, tzinfo=UTC): True,
        datetime(2027, 3, 18, 9, tzinfo=UTC): False,
        datetime(2027, 3, 19, 9, tzinfo=UTC): True,
        datetime(2027, 3, 19, 10, tzinfo=UTC): False,
    },
    # Vienna, 4 March: from 3 March 23:00 UTC to 4 March 23:00 UTC
    datetime(2027, 3, 4, 12, tzinfo=UTC): {
        datetime(2027, 3, 3, 23, tzinfo=UTC): True,
        datetime(2027, 3, 3, 22, tzinfo=UTC): False,
        datetime(2027, 3, 4, 22, tzinfo=UTC): True,
        datetime(2027, 3, 4, 23, tzinfo=UTC): False,
    },
}


@pytest.mark.parametrize("first", _SAME_DAY)
def test_a_day_is_that_of_the_place_where_the_consultant_is(
    db: Session, ctx: Context, first: datetime
) -> None:
    who = consultant(db, ctx)
    service_type = builders.service_type(db, max_sessions_per_day=1, default_duration_minutes=30).id
    assert hold(db, ctx, who, service_type, first) is None
    found = free_time(db, ctx, first - 2 * DAY, first + 2 * DAY, [who], service_type)[who].starts
    for start, is_same in _SAME_DAY[first].items():
        assert (start not in found) == is_same, start
        assert hold(db, ctx, who, service_type, start) == ("limit_reached" if is_same else None), start


def test_a_week_is_that_of_the_place_where_the_consultant_is(db: Session, ctx: Context) -> None:
    """Monday 15 March begins in Tokyo while it is still Sunday in Vienna."""
    who = builders.consultant(db, time_zone=VIENNA, max_sessions_per_week=1).consultant_user_id
    builders.user(db, user_id=who, name="Dr Okafor")
    trip = {"first_day": "2027-03-13", "last_day": "2027-03-16", "time_zone": TOKYO}
    declare(db, ctx, who, weekly=_ALL_DAY, travel=[trip])
    service_type = builders.service_type(db).id
    monday = datetime(2027, 3, 14, 15, tzinfo=UTC)
    assert hold(db, ctx, who, service_type, monday) is None
    assert hold(db, ctx, who, service_type, datetime(2027, 3, 19, 9, tzinfo=UTC)) == "limit_reached"
    assert hold(db, ctx, who, service_type, monday - HOUR) is None


def test_a_batch_counts_the_days_as_the_database_does(db: Session, ctx: Context) -> None:
    who = consultant(db, ctx)
    service_type = builders.service_type(db, max_sessions_per_day=1, default_duration_minutes=30).id
    for first in _SAME_DAY:
        assert hold(db, ctx, who, service_type, first) is None
    terms = batch.terms(db, [who], service_type, ctx.now)[who]
    assert terms.travel == _TRAVEL
    used = batch.used(db, [who], service_type, ctx.now, ctx.now + 30 * DAY, ctx.now)
    assert {day for _, day in used} == {date(2027, 3, 4), date(2027, 3, 11), date(2027, 3, 18)}


def test_the_rule_and_the_function_of_the_database_say_the_same(db: Session) -> None:
    statement = text(
        "SELECT local_day_v1(at, :home, CAST(:trips AS jsonb)) FROM"
        " generate_series(CAST(:since AS timestamptz), CAST(:until AS timestamptz), interval '30 minutes') at"
    )
    since = datetime(2027, 3, 5, tzinfo=UTC)
    for trips, travel in (("[]", ()), (None, ()), (str(_TRIPS).replace("'", '"'), _TRAVEL)):
        values = {"home": VIENNA, "trips": trips, "since": since, "until": since + 20 * DAY}
        found = list(db.execute(statement, values).scalars())
        instants = [since + number * HOUR / 2 for number in range(len(found))]
        assert found == [local_day(one, zone(VIENNA), travel) for one in instants]
