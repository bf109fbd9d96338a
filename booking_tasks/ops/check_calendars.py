"""The check of outside calendars: the age of their copies, and what a worker needs to read them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

from booking_tasks.kit.settings import Settings
from booking_tasks.ops.findings import Finding, State

_CHECK = "calendars"
_FEEDS = """
    SELECT count(*), count(*) FILTER (WHERE failures > 0),
           count(*) FILTER (WHERE since < clock_timestamp() - %s),
           min(since), count(*) FILTER (WHERE feed_type = 'caldav'), sum(unreadable), sum(missing_time)
      FROM (SELECT feed_type, failures, unreadable, missing_time, coalesce(good_at, created_at) AS since
              FROM calendar_feeds) feeds
"""


def calendars(config: Settings, db: Any) -> Iterator[Finding]:
    """Check how old the copies of outside calendars are; with a stepped clock the ages mean nothing."""
    counts = db.execute(_FEEDS, [config.calendar_stale_after]).fetchone()
    number, failing, stale, since, by_caldav, unreadable, missing_time = counts
    if by_caldav and find_spec("caldav") is None:
        remedy = "install booking-tasks with the extra caldav, here and on the workers"
        yield Finding(_CHECK, State.WARNING, f"{by_caldav} are on CalDAV servers", remedy)
    if not number:
        yield Finding(_CHECK, State.OK, "no outside calendars")
        return
    age = _to_text(datetime.now(UTC) - since)
    seen = f"{number} outside, {failing} failing, {stale} stale; the oldest copy is {age} old"
    if unreadable:
        seen += f"; {unreadable} entries not fully understood"
    if missing_time:
        seen += f", {missing_time} of them of unknown time"
    if missing_time and config.calendar_unreadable == "closed":
        remedy = "their consultants are not offered: send list_calendar_feeds, have the entries corrected"
        yield Finding(_CHECK, State.WARNING, seen, remedy)
    elif stale:
        remedy = "send list_calendar_feeds for their last errors; correct or remove them"
        yield Finding(_CHECK, State.WARNING, seen, remedy)
    else:
        yield Finding(_CHECK, State.OK, seen)


def _to_text(age: timedelta) -> str:
    minutes = max(0, int(age / timedelta(minutes=1)))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
