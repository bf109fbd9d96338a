"""The sweep, from a real HTTPS server to the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from booking_tasks.calendars.tasks import refresh_calendars, set_calendar_feed
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.settings import settings
from booking_tasks.models import AvailabilitySlot, CalendarFeed, DeadLetter, InboxMessage
from booking_tasks.ops.servers import wait_until
from tests import builders
from tests.calendars.files import calendar, event
from tests.calendars.radicale import PASSWORD as DIARY_PASSWORD
from tests.calendars.radicale import USER, radicale
from tests.calendars.servers import CERTIFICATE, FakeCalendar, answering, calendar_server

DAY = timedelta(days=1)
TOKEN, PASSWORD = "private-token", "open sesame"


@pytest.fixture
def fake_calendar(own_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCalendar]:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    monkeypatch.setenv("BOOKING_CALENDAR_PRIVATE_HOSTS", "localhost")
    settings.cache_clear()
    with calendar_server(meeting("one", 3)) as held:
        yield held


def meeting(uid: str, hour: int) -> bytes:
    start = tomorrow() + timedelta(hours=hour)
    return calendar(event(f"DTSTART:{start:%Y%m%dT%H%M%SZ}", "DURATION:PT1H", "SUMMARY:Canary", uid=uid))


def tomorrow() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + DAY


def added(fake_calendar: FakeCalendar, **values: object) -> UUID:
    """A feed of a new consultant, by the public task."""
    with transaction() as db:
        consultant = builders.consultant(db).consultant_user_id
    fields: dict[str, object] = {
        "message_id": str(uuid7()),
        "actor": "test",
        "feed_id": str(uuid7()),
        "feed_type": "ics",
        "consultant_user_id": str(consultant),
        "username": "okafor",
        "password": PASSWORD,
        "url": f"https://localhost:{fake_calendar.port}/{TOKEN}/basic.ics",
    }
    outcome = set_calendar_feed(request=fields | values)
    assert outcome["result"] == "done", outcome
    return UUID(outcome["feed_id"])


def due() -> None:
    with transaction() as db:
        db.execute(update(CalendarFeed).values(due_at=datetime(2020, 1, 1, tzinfo=UTC)))


def feed() -> CalendarFeed:
    with transaction() as db:
        return db.execute(select(CalendarFeed)).scalar_one()


def busy_hours() -> list[int]:
    with transaction() as db:
        rows = db.execute(
            select(AvailabilitySlot.start_time)
            .where(AvailabilitySlot.source.startswith("calendar:"), AvailabilitySlot.status == "unavailable")
            .order_by(AvailabilitySlot.start_time)
        ).scalars()
        return [start.hour for start in rows]


def test_a_new_calendar_is_read_and_then_left_alone_until_it_is_due(fake_calendar: FakeCalendar) -> None:
    added(fake_calendar)

    assert refresh_calendars() == 1
    assert busy_hours() == [3]
    assert refresh_calendars() == 0
    assert [one.path for one in fake_calendar.requests] == [f"/{TOKEN}/basic.ics"]


def test_unchanged_it_is_not_sent_again_and_changed_it_is(fake_calendar: FakeCalendar) -> None:
    added(fake_calendar)
    refresh_calendars()
    first = feed().good_at
    due()
    refresh_calendars()
    assert fake_calendar.requests[1].headers["If-None-Match"] == fake_calendar.etag
    assert busy_hours() == [3]
    again = feed().good_at
    assert first is not None
    assert again is not None
    assert again > first

    fake_calendar.content = meeting("one", 5)
    due()
    refresh_calendars()
    assert busy_hours() == [5]


@pytest.mark.parametrize(
    "wrong",
    [
        answering(500),
        answering(200, b"<html>Please log in</html>"),
        answering(200, meeting("one", 7)[:-40]),
        answering(302, Location="https://127.0.0.1/inner.ics"),
        answering(304),
    ],
    ids=["500", "a page", "cut off", "led to loopback", "304 to an unconditional request"],
)
def test_a_failure_changes_nothing_and_is_shown(fake_calendar: FakeCalendar, wrong: Any) -> None:
    added(fake_calendar)
    refresh_calendars()
    with transaction() as db:  # whatever was everything of the copy is forgotten
        db.execute(update(CalendarFeed).values(etag=None))
    good = feed().good_at
    fake_calendar.misbehave = wrong
    due()
    refresh_calendars()

    failed = feed()
    assert busy_hours() == [3]
    assert (failed.good_at, failed.failures) == (good, 1)
    assert failed.last_error
    assert TOKEN not in failed.last_error
    fake_calendar.misbehave = None
    due()
    refresh_calendars()
    assert (feed().failures, feed().last_error) == (0, None)


def test_a_caldav_collection_fills_the_ledger_as_well(fake_calendar: FakeCalendar, tmp_path: Path) -> None:
    with radicale(tmp_path) as diary:
        added(fake_calendar, feed_type="caldav", url=diary.url, username=USER, password=DIARY_PASSWORD)
        diary.put("one", meeting("one", 4))
        refresh_calendars()
        assert busy_hours() == [4]

        diary.put("two", meeting("two", 8))
        due()
        refresh_calendars()
        assert busy_hours() == [4, 8]
    due()
    refresh_calendars()  # the server is gone
    assert busy_hours() == [4, 8]
    assert feed().last_error == "its server cannot be reached"


def test_the_ledger_is_changed_under_the_consultants_lock(
    fake_calendar: FakeCalendar, own_database: str
) -> None:
    added(fake_calendar)
    with psycopg.connect(own_database) as booking, ThreadPoolExecutor(1) as other:
        booking.execute("SELECT 1 FROM consultant_profiles FOR NO KEY UPDATE")
        refreshing = other.submit(refresh_calendars)
        wait_until(lambda: _somebody_waits(own_database), "the refresh to wait for the lock")
        assert busy_hours() == []
        booking.rollback()
        assert refreshing.result(30) == 1
    assert busy_hours() == [3]


def _somebody_waits(url: str) -> bool:
    with psycopg.connect(url) as db:
        found = db.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
    return found is not None and found[0] == 1


def test_two_at_once_fetch_it_once(fake_calendar: FakeCalendar) -> None:
    added(fake_calendar)
    added(fake_calendar)
    with ThreadPoolExecutor(4) as rivals:
        looked = list(rivals.map(lambda _: refresh_calendars(), range(4)))

    assert sum(looked) == 2
    assert len(fake_calendar.requests) == 2


def test_one_that_fails_does_not_hold_up_those_behind_it(fake_calendar: FakeCalendar) -> None:
    added(fake_calendar, url=f"https://localhost:1/{TOKEN}")
    added(fake_calendar)

    assert refresh_calendars() == 2
    assert busy_hours() == [3]


def test_an_outage_is_logged_once_and_so_is_its_end(
    fake_calendar: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed_id = str(added(fake_calendar))
    monkeypatch.setenv("BOOKING_CALENDAR_STALE_AFTER", "0.000001s")
    settings.cache_clear()
    fake_calendar.misbehave = answering(503)
    with capture_logs() as lines:
        for _ in range(3):
            due()
            refresh_calendars()
        monkeypatch.setenv("BOOKING_CALENDAR_STALE_AFTER", "1d")
        settings.cache_clear()
        fake_calendar.misbehave = None
        for _ in range(2):
            due()
            refresh_calendars()

    alerts = [line for line in lines if line["event"] in {"calendar.stale", "calendar.recovered"}]
    assert [(line["event"], line["log_level"], line["feed"]) for line in alerts] == [
        ("calendar.stale", "error", feed_id),
        ("calendar.recovered", "warning", feed_id),
    ]


def test_no_log_line_result_or_dead_letter_says_what_opens_a_calendar_or_what_stands_in_it(
    fake_calendar: FakeCalendar,
) -> None:
    with capture_logs() as lines:
        added(fake_calendar)
        refresh_calendars()
        fake_calendar.misbehave = answering(403, b"Canary")
        due()
        refresh_calendars()
        refused = set_calendar_feed(
            request={"feed_id": "x", "url": f"http://h/{TOKEN}", "password": PASSWORD, "username": "okafor"}
        )
    with transaction() as db:
        letters = [[one.reason, one.payload] for one in db.execute(select(DeadLetter)).scalars()]
        bodies = list(db.execute(select(InboxMessage.body)).scalars())
    assert refused["result"] == "refused"
    assert len(letters) == 1
    assert bodies == [None]  # forgotten once answered
    everything = json.dumps([lines, refused, letters, feed().last_error], default=str)
    for canary in (TOKEN, PASSWORD, "okafor", "Canary", "localhost"):
        assert canary not in everything
