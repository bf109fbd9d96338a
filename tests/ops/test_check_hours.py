"""What the check says of hours: sessions that new time zones have uncovered, until they are moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg

from booking_tasks.context import Context
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import load_settings
from booking_tasks.models import ScheduledSession
from booking_tasks.ops.check_hours import hours
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from tests import builders


def test_sessions_ahead_that_new_time_zones_uncovered_are_counted_until_they_move(
    own_database: str, ctx: Context
) -> None:
    with transaction() as db:
        session = builders.booked_session(db, datetime.now(UTC) + timedelta(days=7))
        after = {"revision": session.revision, "tzdata_version": "2099a"}
        outbox.record_event(
            db, ctx, EventType.SESSION_UNCOVERED, session=session, after=after, reason="hours"
        )
    with psycopg.connect(own_database, autocommit=True) as connection:
        _, finding = hours(load_settings(), connection)
        assert finding.state == "warning"
        assert finding.seen.startswith("1 sessions ahead are outside of the hours")
        with transaction() as db:
            db.get_one(ScheduledSession, session.id).revision = 1
        assert len(list(hours(load_settings(), connection))) == 1
