"""Series over every change of clocks, against a model that counts days on its fingers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from booking_tasks.calendars.reading import busy_time
from booking_tasks.calendars.rules import BusyInterval, ReadOptions, clipped
from booking_tasks.kit.time_zones import zone
from tests.calendars.files import calendar, event

ZONES = (
    "Europe/Vienna",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "UTC",
)
YEAR = ReadOptions(datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC), "UTC", "here.example")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Series:
    """Every `interval` days at one wall-clock time, `count` times; some are excluded, one is moved."""

    zone: str
    start: datetime
    minutes: int
    interval: int
    count: int
    excluded: frozenset[int]
    moved: int

    def written(self) -> bytes:
        lines = [
            f"DTSTART;TZID={self.zone}:{_local(self.start)}",
            f"DURATION:PT{self.minutes}M",
            f"RRULE:FREQ=DAILY;INTERVAL={self.interval};COUNT={self.count}",
            *(f"EXDATE;TZID={self.zone}:{_local(self.at(one))}" for one in sorted(self.excluded)),
        ]
        exception = event(
            f"RECURRENCE-ID;TZID={self.zone}:{_local(self.at(self.moved))}",
            f"DTSTART;TZID={self.zone}:{_local(self.at(self.moved) + timedelta(hours=3))}",
            f"DURATION:PT{self.minutes}M",
        )
        return calendar(event(*lines), exception)

    def at(self, number: int) -> datetime:
        return self.start + number * self.interval * DAY

    def pieces(self) -> set[BusyInterval]:
        found = set()
        for number in range(self.count):
            if number not in self.excluded:
                start = self.at(number) + timedelta(hours=3 if number == self.moved else 0)
                whole = BusyInterval(
                    self._instant(start), self._instant(start + timedelta(minutes=self.minutes))
                )
                found.add(clipped(whole, YEAR.start, YEAR.end))
        return {one for one in found if one is not None}

    def _instant(self, local: datetime) -> datetime:
        return local.replace(tzinfo=zone(self.zone)).astimezone(UTC)


def _local(when: datetime) -> str:
    return f"{when:%Y%m%dT%H%M%S}"


series = st.builds(
    Series,
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1)).map(
        lambda when: when.replace(second=0, microsecond=0)
    ),
    minutes=st.integers(60, 300),
    interval=st.integers(1, 9),
    count=st.integers(1, 60),
    excluded=st.frozensets(st.integers(0, 59), max_size=5),
    moved=st.integers(0, 59),
).filter(lambda one: one.moved < one.count and one.moved not in one.excluded)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(series)
def test_a_series_is_busy_when_its_wall_clock_says_so(one: Series) -> None:
    read = busy_time(one.written(), YEAR)

    assert read.unreadable == 0
    assert set(read.intervals) == one.pieces()
