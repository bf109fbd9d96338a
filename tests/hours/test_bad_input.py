"""Wrong hours are refused with the field and the remedy, at once, and leave nothing behind."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from booking_tasks.catalogue.tasks import upsert_consultant
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.hours.tasks import add_leave, set_availability
from booking_tasks.kit.database import transaction
from booking_tasks.models import (
    AvailabilityPlan,
    AvailabilityProjection,
    AvailabilityRule,
    AvailabilitySlot,
    ConsultantLeave,
    DeadLetter,
)
from tests import builders

pytestmark = pytest.mark.usefixtures("own_database", "valkey")

#: Generous for a machine with other things to do; by itself each takes some milliseconds.
AT_ONCE = 0.1


@pytest.fixture
def who() -> UUID:
    with transaction() as db:
        return builders.consultant(db).consultant_user_id


def answered(task: Any, **values: Any) -> tuple[dict[str, Any], float]:
    """The answer, and the quickest of three runs: what it takes when nothing else is in the way."""
    took = []
    for _ in range(3):
        request = {"message_id": str(uuid4()), "actor": "staff"} | values
        began = time.process_time()
        answer = task.apply(kwargs={"request": request}).get()
        took.append(time.process_time() - began)
    return answer, min(took)


def recurring(**values: Any) -> dict[str, Any]:
    return {"recurring": [{"start": "2027-03-01T09:00", "duration_minutes": 60} | values]}


WEEKLY = {"weekday": 1, "start": "09:00", "end": "17:00"}
NEVER = "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"


@pytest.mark.parametrize(
    ("hours", "field", "remedy"),
    [
        (recurring(rrule="FREQ=SECONDLY"), "recurring.0.rrule", "FREQ must be one of DAILY, WEEKLY"),
        (recurring(rrule="every monday"), "recurring.0.rrule", "write it like FREQ=WEEKLY"),
        (recurring(rrule=NEVER), "recurring.0.rrule", "correct the rule or the start"),
        (recurring(rrule="FREQ=DAILY;COUNT=100000"), "recurring.0.rrule", "from 1 to 2000"),
        (recurring(end="2027-03-01T08:00", duration_minutes=None), "recurring.0", "end must lie after start"),
        (recurring(end="2027-03-01T10:00"), "recurring.0", "either end or duration_minutes"),
        (recurring(start="2027-03-01T09:00+01:00"), "recurring.0.start", "without offset"),
        (recurring(start="1800-03-01T09:00"), "recurring.0.start", "between the years 2000 and 2080"),
        ({"recurring": recurring()["recurring"] * 10_000}, "recurring", "at most 100 items"),
        ({"weekly": [WEEKLY] * 10_000}, "weekly", "at most 70 items"),
        ({"weekly": [WEEKLY, WEEKLY]}, "weekly", "join them"),
        ({"weekly": [WEEKLY | {"end": "09:00"}]}, "weekly.0", "write 00:00 to 00:00 for a whole day"),
        (
            {"travel": [{"first_day": "2027-03-01", "last_day": "2027-03-02", "time_zone": "Mars/Base"}]},
            "travel.0.time_zone",
            "write it like Europe/Vienna",
        ),
        (
            {"travel": [{"first_day": "2027-03-02", "last_day": "2027-03-01", "time_zone": "UTC"}]},
            "travel.0",
            "last_day must not lie before first_day",
        ),
        (
            {"rule_sets": [{"valid_from": "2027-03-02"}, {"valid_from": "2027-03-02"}]},
            "rule_sets",
            "join them",
        ),
        ({"overrides": [{"day": "2027-03-02"}, {"day": "2027-03-02"}]}, "overrides", "join them"),
    ],
)
def test_wrong_hours_are_refused_at_once_and_leave_nothing(
    who: UUID, hours: dict[str, Any], field: str, remedy: str
) -> None:
    answer, took = answered(set_availability, consultant_user_id=str(who), **hours)
    assert (answer["result"], answer["errors"][0]["field"]) == ("refused", field)
    assert remedy in answer["errors"][0]["problem"]
    assert took < AT_ONCE
    with transaction() as db:
        for table in (
            AvailabilityRule,
            AvailabilityPlan,
            AvailabilitySlot,
            AvailabilityProjection,
            ConsultantLeave,
        ):
            assert db.scalar(select(func.count()).select_from(table)) == 0, table


@pytest.mark.parametrize(
    ("task", "values", "field"),
    [
        (
            add_leave,
            {
                "leave_id": str(uuid4()),
                "start": "2027-03-02T00:00",
                "end": "2027-03-02T00:00",
                "reason": "ill",
            },
            "request",
        ),
        (upsert_consultant, {"time_zone": "Mars/Base"}, "time_zone"),
        (upsert_consultant, {"time_zone": "UTC", "holiday_region": "XX"}, "holiday_region"),
        (upsert_consultant, {"time_zone": "UTC", "holiday_region": "Bavaria"}, "holiday_region"),
    ],
)
def test_wrong_leave_zones_and_regions_are_refused_likewise(
    who: UUID, task: Any, values: dict[str, Any], field: str
) -> None:
    answer, took = answered(task, consultant_user_id=str(who), **values)
    assert (answer["result"], answer["errors"][0]["field"]) == ("refused", field)
    assert took < AT_ONCE


def test_a_reason_for_leave_is_not_kept_of_a_message_that_was_refused(who: UUID) -> None:
    wrong = {
        "leave_id": "no id",
        "start": "2027-03-02T00:00",
        "end": "2027-03-03T00:00",
        "reason": "burn-out",
    }
    answered(add_leave, consultant_user_id=str(who), **wrong)
    with transaction() as db:
        letters = db.execute(select(DeadLetter).where(DeadLetter.task == f"{TASK_PREFIX}add_leave")).scalars()
        kept = [str(vars(one)) for one in letters]
    assert len(kept) == 3
    assert not any("burn-out" in one for one in kept)
