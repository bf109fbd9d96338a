"""A consultant with a calendar, and what may be done with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from booking_tasks.calendars import service
from booking_tasks.calendars.rules import BusyInterval, BusyTime
from booking_tasks.calendars.service import LedgerChanges, Refresh
from booking_tasks.context import Context
from booking_tasks.contracts import SetCalendarFeed
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AvailabilitySlot, CalendarFeed
from tests import builders
from tests.builders import NOW

HOUR = timedelta(hours=1)
TOMORROW = NOW + timedelta(days=1)
NINE = BusyInterval(TOMORROW, TOMORROW + HOUR)
NOON = BusyInterval(TOMORROW + 3 * HOUR, TOMORROW + 4 * HOUR)
TERM = timedelta(minutes=1)


def command(consultant: UUID, feed: UUID | None = None, **values: object) -> SetCalendarFeed:
    fields: dict[str, object] = {
        "message_id": uuid7(),
        "actor": "test",
        "feed_id": feed or uuid7(),
        "consultant_user_id": consultant,
        "feed_type": "ics",
        "url": "https://calendar.example/secret-token.ics",
    }
    return SetCalendarFeed.model_validate(fields | values)


@pytest.fixture
def who(db: Session) -> UUID:
    """A consultant who works from nine to five, tomorrow."""
    consultant = builders.consultant(db).consultant_user_id
    builders.window(db, consultant, TOMORROW)
    return consultant


@pytest.fixture
def feed(db: Session, ctx: Context, who: UUID) -> UUID:
    added = service.set_calendar_feed(db, ctx, command(who))
    assert added.feed_id is not None
    db.execute(update(CalendarFeed).values(created_at=NOW))
    return added.feed_id


def begin_refresh(db: Session, ctx: Context) -> Refresh:
    db.execute(update(CalendarFeed).values(due_at=datetime(2020, 1, 1, tzinfo=UTC)))
    refresh = service.begin_refresh(db, ctx, TERM)
    assert refresh is not None
    return refresh


def store_copy(db: Session, ctx: Context, *pieces: BusyInterval, **values: object) -> LedgerChanges:
    busy = BusyTime(pieces, **values)  # type: ignore[arg-type]
    found = service.store_copy(db, ctx, begin_refresh(db, ctx), busy, '"1"', None)
    assert found is not None
    return found


def blocks(db: Session, source: str = "calendar:") -> dict[UUID, BusyInterval]:
    rows = db.execute(
        select(AvailabilitySlot).where(
            AvailabilitySlot.status == "unavailable", AvailabilitySlot.source.startswith(source)
        )
    ).scalars()
    return {row.id: BusyInterval(row.start_time, row.end_time) for row in rows}
