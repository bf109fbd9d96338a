"""Forgetting stands in nobody's way: neither waits for the other's locks, whoever holds them how long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from booking_tasks import database
from booking_tasks.database import transaction
from booking_tasks.occasion import Occasion
from booking_tasks.ops.test_platform import LocalPlatform
from booking_tasks.retention import service, tasks
from booking_tasks.settings import settings
from tests.mail.servers import Sink, post
from tests.ops.scenery import bookable, play, wish

__all__ = ["post"]

ROWS = 300
_AGE = "UPDATE {} SET {} = {} - interval '1000 days'"
_AGED = (
    ("jobs", "settled_at", "settled_at IS NOT NULL"),
    ("inbox", "finished_at", "finished_at IS NOT NULL"),
    ("events", "occurred_at", "true"),
)
_LETTERS = text(
    "INSERT INTO dead_letters (task, door, reason, received_at)"
    " SELECT 't', 'broker', 'r', now() - interval '1000 days' FROM generate_series(1, :rows)"
)


@pytest.fixture
def impatient(
    own_database: str, valkey: str, post: Sink, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[object, ...]]:
    """A deployment in which any wait for a lock is an error at once, and a kind that can be booked."""
    with LocalPlatform() as platform:
        monkeypatch.setenv("BOOKING_MEETING_URL", platform.url)
        monkeypatch.setenv("BOOKING_LOCK_TIMEOUT", "0.2s")
        settings.cache_clear()
        database.engine.cache_clear()
        yield bookable()


def old_things(kind_and_requester: tuple[object, ...]) -> None:
    """What an old booking left behind, and more."""
    play(*kind_and_requester)  # type: ignore[arg-type]
    with transaction() as db:
        for table, column, condition in _AGED:
            db.execute(text(f"{_AGE.format(table, column, column)} WHERE {condition}"))
        db.execute(_LETTERS, {"rows": ROWS})


def forgotten(limit: int = 1000) -> Iterator[int]:
    """Delete a batch of every part in one transaction; it commits when the iterator goes on."""
    moment = Occasion(now=datetime.now(UTC), actor="sweep", door="sweep")
    with transaction() as db:
        ages = tasks.ages_of(settings())
        yield sum(service.purge_batch(db, moment, part, ages, limit) for part in service.PARTS)


def test_bookings_go_on_while_a_batch_of_everything_is_deleted_and_not_yet_committed(
    impatient: tuple[object, ...],
) -> None:
    old_things(impatient)
    open_batch = forgotten()
    assert next(open_batch) > ROWS
    play(*impatient)  # type: ignore[arg-type]
    assert list(open_batch) == []


def test_the_purge_goes_on_while_a_booking_is_being_made(impatient: tuple[object, ...]) -> None:
    old_things(impatient)
    asked = wish(*impatient)  # type: ignore[arg-type]
    with transaction() as db:
        db.execute(text("SELECT FROM consultant_profiles FOR NO KEY UPDATE"))
        db.execute(
            text(
                "INSERT INTO inbox (message_id, task, body_hash, door, body)"
                " VALUES (:id, 't', 'h', 'booking', '{}')"
            ),
            {"id": asked.message_id},
        )
        db.execute(text("UPDATE jobs SET retry_at = now() WHERE state = 'waiting'"))
        assert tasks.purge() > ROWS
