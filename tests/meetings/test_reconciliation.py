"""The daily comparison of rooms, and calls to the platform outside of transactions: real HTTP, real rows."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest
from sqlalchemy import select, text

from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.meetings import tasks
from booking_tasks.models import ScheduledSession, ScheduleRun
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from tests import builders
from tests.meetings.test_tasks import (
    HOUR,
    _soon,
    booked,
    calls,
    close,
    events,
    invited_revisions,
    provision,
    stored,
    while_it_works,
)


def test_a_room_that_the_platform_lost_is_made_again_and_people_hear_of_its_new_link(
    platform: FakeMeetingPlatform,
) -> None:
    session_id = booked()
    provision()
    old = stored(session_id).meeting_platform_join_url
    platform.forget(session_id)
    assert tasks.reconcile_meetings() == 1
    provision()
    session = stored(session_id)
    assert session.meeting_platform_join_url == platform.rooms()[session_id]["join_url"] != old
    assert (session.revision, events()[-1]) == (1, "session.link_changed")
    assert invited_revisions() == {0, 1}


def test_a_room_that_nobody_needs_is_closed_and_one_that_is_not_ours_is_left(
    platform: FakeMeetingPlatform,
) -> None:
    session_id = booked()
    provision()
    with transaction() as db:  # as if the closing had been lost long ago
        builders.take_steps(db, db.get_one(ScheduledSession, session_id), "cancelled_by_user")
    _room_of_someone_else(platform)
    assert tasks.reconcile_meetings() == 1
    close()
    assert session_id not in platform.rooms()
    assert len(platform.rooms()) == 1


def _room_of_someone_else(platform: FakeMeetingPlatform) -> None:
    start = _soon()
    body = {
        "revision": 0,
        "starts_at": start.isoformat(),
        "ends_at": (start + HOUR).isoformat(),
        "requester_user_id": str(uuid7()),
        "consultant_user_id": str(uuid7()),
    }
    made = httpx2.put(
        f"{platform.url}/rooms/{uuid7()}", json=body, headers={"Idempotency-Key": "theirs"}, timeout=10
    )
    assert made.status_code == 201


def test_rooms_are_compared_once_a_day(platform: FakeMeetingPlatform) -> None:
    session_id = booked()
    provision()
    assert tasks.reconcile_meetings() == 0
    listed = len(calls(platform, "GET"))
    assert listed > 0
    platform.forget(session_id)
    assert tasks.reconcile_meetings() == 0
    assert len(calls(platform, "GET")) == listed


def test_a_platform_that_is_away_is_called_again_at_the_next_tick(platform: FakeMeetingPlatform) -> None:
    session_id = booked()
    provision()
    platform.forget(session_id)
    platform.control(fail_next=1, status=503)
    assert tasks.reconcile_meetings() == 0
    with transaction() as db:
        assert db.scalars(select(ScheduleRun.schedule)).all() == []
    assert tasks.reconcile_meetings() == 1


@pytest.mark.parametrize("task", [tasks.provision_meeting, tasks.reconcile_meetings])
def test_the_platform_is_called_outside_any_transaction(
    platform: FakeMeetingPlatform, task: Callable[[], int]
) -> None:
    booked()
    waiting: list[int] = []

    def query() -> None:
        with transaction() as db:
            found = db.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
                )
            )
            waiting.append(found.scalar_one())

    while_it_works(platform, query, task)
    assert waiting == [0]
