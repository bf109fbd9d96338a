"""What `booking-tasks check` says of outside calendars."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any, Literal

from booking_tasks.kit.settings import Settings

#: How it stands, what was seen, and what mends it.
Said = tuple[Literal["ok", "warning"], str, str]

_FEEDS = """
    SELECT count(*), count(*) FILTER (WHERE failures > 0),
           count(*) FILTER (WHERE since < clock_timestamp() - %s),
           min(since), count(*) FILTER (WHERE feed_type = 'caldav'), sum(unreadable)
      FROM (SELECT feed_type, failures, unreadable, coalesce(good_at, created_at) AS since
              FROM calendar_feeds) feeds
"""


def calendars(config: Settings, db: Any) -> Iterator[Said]:
    """How old the copies of outside calendars are. With a stepped clock their ages mean nothing."""
    counts = db.execute(_FEEDS, [config.calendar_stale_after]).fetchone()
    number, failing, stale, since, by_caldav, unreadable = counts
    if by_caldav and find_spec("caldav") is None:
        mend = "install booking-tasks with the extra caldav, here and on the workers"
        yield "warning", f"{by_caldav} are on CalDAV servers", mend
    if not number:
        yield "ok", "no outside calendars", ""
        return
    age = datetime.now(UTC) - since
    seen = f"{number} outside, {failing} failing, {stale} stale; the oldest copy is {_age(age)} old"
    if unreadable:
        seen += f"; {unreadable} entries unreadable"
    if stale:
        mend = "ask list_calendar_feeds for their last errors; mend or remove them"
        yield "warning", seen, mend
    else:
        yield "ok", seen, ""


def _age(age: timedelta) -> str:
    minutes = max(0, int(age / timedelta(minutes=1)))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
