"""The sweep that keeps the horizon: once a day, and again for windows made with older time zones."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from booking_tasks.context import Context
from booking_tasks.hours.tasks import extend_availability
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.time_zones import tzdata_version
from booking_tasks.models import AvailabilityProjection, AvailabilitySlot, ScheduleRun
from tests import builders
from tests.hours.test_ledger import OFFICE, declare

pytestmark = pytest.mark.usefixtures("own_database", "valkey")


@pytest.fixture
def who() -> UUID:
    """Somebody whose windows were made yesterday."""
    with transaction() as db:
        yesterday = Context(clock.now(db) - timedelta(days=1), "test", "admin")
        row = builders.consultant(db, time_zone="Europe/Vienna")
        every_day = [OFFICE[0] | {"weekday": day} for day in range(1, 8)]
        declare(db, yesterday, row.consultant_user_id, weekly=every_day)
        return row.consultant_user_id


def windows() -> int:
    with transaction() as db:
        return db.scalar(select(func.count()).where(AvailabilitySlot.status == "available")) or 0


def test_the_new_last_day_is_added_once_a_day(who: UUID) -> None:
    before = windows()
    assert extend_availability() == 1
    assert windows() == before + 1
    assert extend_availability() == 0
    with transaction() as db:
        assert db.scalar(select(func.count()).select_from(ScheduleRun)) == 1


def test_windows_made_with_older_time_zones_are_made_again_the_same_day(who: UUID) -> None:
    extend_availability()
    for version, made_again in (("2020a", 1), ("2099z", 0)):
        with transaction() as db:
            db.execute(update(AvailabilityProjection).values(tzdata_version=version))
        assert extend_availability() == made_again
    with transaction() as db:
        assert db.scalar(select(AvailabilityProjection.tzdata_version)) == "2099z"
        db.execute(update(AvailabilityProjection).values(tzdata_version="2020a"))
    extend_availability()
    with transaction() as db:
        assert db.scalar(select(AvailabilityProjection.tzdata_version)) == tzdata_version()
