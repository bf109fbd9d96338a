"""CalDAV against a real server, through the whole provider."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from booking_tasks.calendars.network import FetchError, NetworkLimits
from booking_tasks.calendars.provider import FeedSource, FetchedCalendar, fetch
from booking_tasks.calendars.reading import busy_time
from tests.calendars.files import MEETING, calendar, event
from tests.calendars.radicale import PASSWORD, USER, CalendarCollection, radicale
from tests.calendars.servers import CERTIFICATE, answering, calendar_server
from tests.calendars.test_reading import BLOCKED, MARCH, WEEKLY

LIMITS = NetworkLimits(seconds=15.0, private_hosts=("localhost",))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CalendarCollection]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        with radicale(tmp_path_factory.mktemp("radicale")) as collection:
            yield collection


@pytest.fixture
def collection(running: CalendarCollection, monkeypatch: pytest.MonkeyPatch) -> CalendarCollection:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    return running


def source(collection: CalendarCollection, **values: str) -> FeedSource:
    fields = {"feed_type": "caldav", "url": collection.url, "username": USER, "password": PASSWORD}
    return FeedSource(**fields | values)


def refusal(collection: CalendarCollection, limits: NetworkLimits = LIMITS, **values: str) -> str:
    with pytest.raises(FetchError) as refused:
        fetch(source(collection, **values), MARCH, limits)
    text = str(refused.value)
    assert PASSWORD not in text
    assert "localhost" not in text
    return text


def pieces(fetched: FetchedCalendar) -> list[str]:
    assert fetched.content is not None
    read = busy_time(fetched.content, MARCH)
    assert read.unreadable == 0
    return [f"{one.start:%d %H:%M} - {one.end:%d %H:%M}" for one in read.intervals]


def test_a_collection_is_read_with_its_exceptions_and_again_only_when_it_changed(
    collection: CalendarCollection,
) -> None:
    empty = fetch(source(collection), MARCH, LIMITS)
    assert pieces(empty) == []

    cancelled = event(
        "RECURRENCE-ID;TZID=Europe/Vienna:20270309T100000",
        "DTSTART;TZID=Europe/Vienna:20270309T100000",
        "DTEND;TZID=Europe/Vienna:20270309T110000",
        "STATUS:CANCELLED",
    )
    collection.put("series", calendar(event(WEEKLY), cancelled))
    collection.put("day", calendar(event("DTSTART;VALUE=DATE:20270304", uid="day")))
    collection.put("over", calendar(event("DTSTART:20260302T090000Z", "DURATION:PT1H", uid="over")))
    first = fetch(source(collection), MARCH, LIMITS)
    assert pieces(first) == [*BLOCKED, "03 23:00 - 04 23:00", "16 09:00 - 16 10:00", "23 09:00 - 23 10:00"]
    assert first.content is not None
    assert b"20260302" not in first.content  # nobody needs what is over

    assert first.etag is not None
    assert fetch(source(collection, etag=first.etag), MARCH, LIMITS).content is None
    collection.delete("series")
    assert pieces(fetch(source(collection, etag=first.etag), MARCH, LIMITS)) == ["03 23:00 - 04 23:00"]


def test_a_wrong_password_and_a_calendar_that_is_gone_are_failures(collection: CalendarCollection) -> None:
    assert "refuses access (401)" in refusal(collection, password="guess")
    assert "no longer exists (404)" in refusal(collection, url=f"{collection.url}nothing/")


def test_what_is_no_calendar_is_not_taken_for_an_empty_one(collection: CalendarCollection) -> None:
    assert "no calendar" in refusal(collection, url=collection.url.removesuffix("work/"))
    with calendar_server(calendar(MEETING)) as server:
        server.misbehave = answering(200, b"<html>Please log in</html>", Content_Type="text/html")
        assert "no calendar" in refusal(collection, url=f"https://localhost:{server.port}/dav/")


def test_the_limits_hold_here_too(collection: CalendarCollection) -> None:
    collection.put("big", calendar(event("DTSTART:20270302T090000Z", "SUMMARY:" + "x" * 5000, uid="big")))

    assert "private address" in refusal(collection, replace(LIMITS, private_hosts=()))
    assert "BOOKING_CALENDAR_MAX_BYTES" in refusal(collection, replace(LIMITS, max_bytes=4000))
    assert "too slow" in refusal(collection, replace(LIMITS, seconds=0.001))
