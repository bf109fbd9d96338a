"""A calendar that asks for too much ends its reader, not the worker; and nothing of it is left behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from booking_tasks.calendars import reading, sandbox
from booking_tasks.calendars.sandbox import SandboxError, SandboxLimits
from tests.calendars.files import MEETING, OUTLOOK_ZONE, calendar, event
from tests.calendars.test_reading import MARCH, SESSION

SHORT = SandboxLimits(cpu=1, wall=10.0)

_SECONDLY_ZONE = """\
BEGIN:VTIMEZONE
TZID:Ticking
BEGIN:STANDARD
DTSTART:19700101T000000
RRULE:FREQ=SECONDLY
TZOFFSETFROM:+0000
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700101T000000
RRULE:FREQ=SECONDLY;INTERVAL=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0000
END:DAYLIGHT
END:VTIMEZONE"""


def test_it_returns_what_reading_in_this_process_returns() -> None:
    own = event("DTSTART:20270305T090000Z", "DURATION:PT1H", uid=f"{SESSION}@booking.example.org")
    content = calendar(MEETING, own, event("DTSTART:garbage", uid="bad"))
    tilted = replace(MARCH, start=MARCH.start + timedelta(microseconds=1))

    for stretch in (MARCH, tilted):
        assert sandbox.read_busy_time(content, stretch) == reading.busy_time(content, stretch)


@pytest.mark.parametrize(
    "content",
    [
        calendar(event("DTSTART:19700101T000000Z", "DURATION:PT1S", "RRULE:FREQ=SECONDLY;INTERVAL=2")),
        calendar(event("DTSTART:20270302T090000Z", "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30")),
        calendar(_SECONDLY_ZONE, event("DTSTART;TZID=Ticking:20270302T090000", "DURATION:PT1H")),
    ],
    ids=["every second since 1970", "never, but every second", "a zone that changes every second"],
)
def test_a_calendar_that_recurs_without_end_is_refused(content: bytes) -> None:
    with pytest.raises(SandboxError, match="too much time or memory"):
        sandbox.read_busy_time(content, MARCH, SHORT)


def test_a_reader_that_hangs_is_ended_by_the_wall_clock() -> None:
    with pytest.raises(SandboxError, match="too much time or memory"):
        sandbox.read_busy_time(calendar(MEETING), MARCH, SandboxLimits(wall=0.01))


def test_a_calendar_that_needs_too_much_memory_is_refused() -> None:
    content = calendar(event("SUMMARY:" + "x" * 100_000_000))

    with pytest.raises(SandboxError, match="too much time or memory"):
        sandbox.read_busy_time(content, MARCH, SandboxLimits(memory=400 << 20))


def test_a_fault_of_ours_is_named_without_quoting_anything() -> None:
    with pytest.raises(SandboxError, match=r"unexpectedly \([\w.]*ZoneInfoNotFoundError\)$"):
        sandbox.read_busy_time(calendar(MEETING), replace(MARCH, zone="Europe/Atlantis"))


def test_a_reader_takes_nothing_from_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "icalendar.py").write_text("raise SystemExit('taken from the directory')")
    monkeypatch.chdir(tmp_path)

    assert len(sandbox.read_busy_time(calendar(MEETING), MARCH).intervals) == 1


def test_a_reader_knows_none_of_the_services_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tell.py").write_text("import os; print(*os.environ)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("BOOKING_SMTP_PASSWORD", "sesame")
    known = sandbox.run_module("tell", b"", SHORT).decode().split()

    assert "PYTHONPATH" in known
    assert [name for name in known if name.startswith(("BOOKING_", "DATABASE_", "REDIS_", "CELERY_"))] == []


def test_what_is_no_calendar_is_refused_as_none() -> None:
    with pytest.raises(SandboxError, match="does not begin with BEGIN:VCALENDAR"):
        sandbox.read_busy_time(b"<html>", MARCH)


def test_what_one_file_calls_a_zone_is_unknown_to_the_next() -> None:
    meeting = event("DTSTART;TZID=Customized Time Zone:20270302T040000", "DURATION:PT1H")

    assert len(sandbox.read_busy_time(calendar(OUTLOOK_ZONE, meeting), MARCH).intervals) == 1
    assert sandbox.read_busy_time(calendar(meeting), MARCH).unreadable == 1
