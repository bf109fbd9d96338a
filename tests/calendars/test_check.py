"""`booking-tasks check` says how old the copies of outside calendars are."""

from __future__ import annotations

import psycopg
import pytest

from booking_tasks.kit.settings import load_settings
from booking_tasks.ops.check_calendars import calendars
from booking_tasks.ops.findings import Finding, State


def seen(url: str) -> list[Finding]:
    with psycopg.connect(url) as db:
        return list(calendars(load_settings(), db))


@pytest.fixture
def url(own_database: str) -> str:
    with psycopg.connect(own_database) as db:
        db.execute("INSERT INTO consultant_profiles (consultant_user_id) VALUES (gen_random_uuid())")
        db.execute(
            "INSERT INTO calendar_feeds (consultant_user_id, feed_type, url, good_at, failures)"
            " SELECT consultant_user_id, feed_type, 'https://h/', clock_timestamp() - age, failures"
            "   FROM consultant_profiles,"
            "        (VALUES ('ics', interval '7 minutes', 0), ('caldav', interval '150 minutes', 3))"
            "            feeds (feed_type, age, failures)"
        )
    return own_database


def test_without_any_all_is_well(own_database: str) -> None:
    assert seen(own_database) == [Finding("calendars", State.OK, "no outside calendars")]


def test_it_counts_them_and_says_the_oldest_age(url: str) -> None:
    [found] = seen(url)

    assert found.state == "ok"
    assert found.seen == "2 outside, 1 failing, 0 stale; the oldest copy is 2 h 30 min old"


def test_it_counts_what_nobody_could_read(url: str) -> None:
    with psycopg.connect(url) as db:
        db.execute("UPDATE calendar_feeds SET unreadable = 2")

    assert seen(url)[0].seen.endswith("; 4 entries not fully understood")


def test_of_stale_ones_it_warns(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_CALENDAR_STALE_AFTER", "2h")
    [found] = seen(url)

    assert found.state == "warning"
    assert "1 stale" in found.seen
    assert "list_calendar_feeds" in found.remedy


def test_calendars_that_need_an_extra_that_is_not_there_are_warned_of(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("booking_tasks.ops.check_calendars.find_spec", lambda _: None)
    missing, counted = seen(url)

    assert (missing.state, missing.seen) == ("warning", "1 are on CalDAV servers")
    assert "with the extra caldav" in missing.remedy
    assert counted.state == "ok"


def test_one_that_was_never_read_is_as_old_as_its_feed(url: str) -> None:
    with psycopg.connect(url) as db:
        db.execute("UPDATE calendar_feeds SET good_at = NULL, created_at = now() - '1 day'::interval")

    assert "24 h 0 min old" in seen(url)[0].seen
