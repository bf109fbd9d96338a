from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from booking_tasks.mail.dates import (
    Language,
    day_text,
    duration_text,
    instant_text,
    language_of,
    span_text,
    zone_of,
)


def utc(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2027, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "zone", "expected"),
    [
        ("en", "Europe/Vienna", "Wednesday, 3 March 2027, 10:00–11:30, Europe/Vienna (CET)"),
        ("de", "Europe/Vienna", "Mittwoch, 3. März 2027, 10:00–11:30 Uhr, Europe/Vienna (CET)"),
        ("en", "UTC", "Wednesday, 3 March 2027, 09:00–10:30, UTC"),
        ("en", "America/New_York", "Wednesday, 3 March 2027, 04:00–05:30, America/New_York (EST)"),
        ("en", "Asia/Kathmandu", "Wednesday, 3 March 2027, 14:45–16:15, Asia/Kathmandu (UTC+05:45)"),
        (
            "de",
            "America/Sao_Paulo",
            "Mittwoch, 3. März 2027, 06:00–07:30 Uhr, America/Sao_Paulo (UTC-03:00)",
        ),
    ],
)
def test_a_time_is_formatted_in_the_readers_zone_with_its_name(
    language: Language, zone: str, expected: str
) -> None:
    assert span_text(utc(3, 3, 9), utc(3, 3, 10, 30), zone, language) == expected


def test_summer_time_has_its_own_name() -> None:
    assert instant_text(utc(7, 1, 8), "Europe/Vienna", "en") == (
        "Thursday, 1 July 2027, 10:00, Europe/Vienna (CEST)"
    )


def test_a_span_over_midnight_names_both_days() -> None:
    assert span_text(utc(3, 3, 22), utc(3, 4, 0), "Europe/Vienna", "de") == (
        "Mittwoch, 3. März 2027, 23:00 – Donnerstag, 4. März 2027, 01:00 Uhr, Europe/Vienna (CET)"
    )


def test_a_span_over_a_change_of_clocks_names_both_offsets() -> None:
    assert span_text(utc(3, 28, 0, 30), utc(3, 28, 1, 30), "Europe/Vienna", "en") == (
        "Sunday, 28 March 2027, 01:30–03:30, Europe/Vienna (CET – CEST)"
    )


def test_the_repeated_hour_is_distinguished_by_its_name() -> None:
    first = instant_text(utc(10, 31, 0, 30), "Europe/Vienna", "en")
    second = instant_text(utc(10, 31, 1, 30), "Europe/Vienna", "en")

    assert (first[-30:], second[-30:]) == (
        first.replace("CET", "CEST")[-30:],
        second.replace("CEST", "CET")[-30:],
    )
    assert first != second


def test_the_day_is_the_readers_day() -> None:
    assert day_text(utc(3, 3, 23), "Pacific/Auckland", "en") == "Thursday, 4 March 2027"


@pytest.mark.parametrize(
    ("minutes", "english", "german"),
    [
        (0.2, "1 minute", "1 Minute"),
        (59.9, "1 hour", "1 Stunde"),
        (61, "1 hour 1 minute", "1 Stunde 1 Minute"),
        (90, "1 hour 30 minutes", "1 Stunde 30 Minuten"),
        (24 * 60 - 0.1, "24 hours", "24 Stunden"),
        (48 * 60, "2 days", "2 Tagen"),
        (49 * 60 + 59, "2 days 1 hour", "2 Tagen 1 Stunde"),
    ],
)
def test_durations_are_formatted_in_whole_minutes(minutes: float, english: str, german: str) -> None:
    assert duration_text(timedelta(minutes=minutes), "en") == english
    assert duration_text(timedelta(minutes=minutes), "de") == german


@pytest.mark.parametrize(
    ("requested", "otherwise", "used"),
    [("de", "en", "de"), ("de-AT", "en", "de"), ("fr", "de", "de"), ("fr", "xx", "en"), ("EN", "de", "en")],
)
def test_the_language_is_the_readers_else_the_deployments_else_english(
    requested: str, otherwise: str, used: str
) -> None:
    assert language_of(requested, otherwise) == used


@pytest.mark.parametrize(
    ("stored", "shown"),
    [("Asia/Tokyo", "Asia/Tokyo"), ("Mars/Olympus", "Europe/Vienna"), ("", "Europe/Vienna")],
)
def test_a_zone_nobody_knows_gives_way_to_the_deployments_own(stored: str, shown: str) -> None:
    assert zone_of(stored, "Europe/Vienna") == shown
