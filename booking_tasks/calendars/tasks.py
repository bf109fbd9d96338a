"""The package's public tasks, and the sweep that refreshes outside calendars."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.calendars import sandbox, service
from booking_tasks.calendars.network import FetchError, NetworkLimits
from booking_tasks.calendars.provider import FeedSource, FetchedCalendar, fetch
from booking_tasks.calendars.rules import BusyTime
from booking_tasks.calendars.service import LedgerChanges, Refresh
from booking_tasks.celery import app
from booking_tasks.context import Context
from booking_tasks.contracts import TASK_PREFIX, ListCalendarFeeds, RemoveCalendarFeed, SetCalendarFeed
from booking_tasks.inbox.receiver import accepts, answers
from booking_tasks.kit.logs import logger
from booking_tasks.kit.settings import settings
from booking_tasks.kit.shutdown import is_requested
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any, for_each_in_own_transaction, unit_of_work

log = logger(__name__)

_ANY_DUE = query(__package__, "any_due")

#: One run of the sweep begins refreshes for so long; the next run does the rest.
_START_WINDOW_SECONDS = 60.0
#: The most time that reading and storing a copy takes, after it is fetched.
_READING_TIME = timedelta(seconds=90)

set_calendar_feed = accepts(SetCalendarFeed)(service.set_calendar_feed)
remove_calendar_feed = accepts(RemoveCalendarFeed)(service.remove_calendar_feed)
list_calendar_feeds = answers(ListCalendarFeeds)(service.list_calendar_feeds)


@app.task(name=TASK_PREFIX + "refresh_calendars")
def refresh_calendars() -> int:
    """Refresh the calendars that are due, one after the other; return how many were refreshed."""
    if not finds_any(_ANY_DUE, stale_after=settings().policies.calendar_stale_after):
        return 0
    began, refreshed = time.monotonic(), 0
    while not is_requested() and time.monotonic() - began < _START_WINDOW_SECONDS:
        with unit_of_work("sweep", "provision") as (db, ctx):
            refresh = service.begin_refresh(db, ctx, settings().calendar_timeout + _READING_TIME)
        if refresh is None:
            break
        _refresh(refresh)
        refreshed += 1
    _alert_outages()
    return refreshed


def _refresh(refresh: Refresh) -> None:
    """Fetch and read a calendar outside of any transaction, then store the result in one."""
    feed = str(refresh.feed.id)
    try:
        fetched = fetch(_source(refresh), refresh.options, _limits())
        busy = _read(fetched, refresh)
    except FetchError as error:
        _record_failure(refresh, str(error), error.retry_after)
        return
    except sandbox.SandboxError as error:
        _record_failure(refresh, str(error))
        return
    except Exception as error:  # malformed content may raise anything in a library; only this feed fails
        log.exception("calendar.refresh_failed", feed=feed)
        _record_failure(refresh, f"refreshing it failed unexpectedly ({type(error).__name__}); see the log")
        return
    with unit_of_work("sweep", "provision") as (db, ctx):
        changes = service.store_copy(db, ctx, refresh, busy, fetched.etag, fetched.last_modified)
    _log_changes(feed, changes)


def _read(fetched: FetchedCalendar, refresh: Refresh) -> BusyTime | None:
    """Read the busy time; None when the calendar has not changed. Raises SandboxError."""
    if fetched.content is None:
        return None
    return sandbox.read_busy_time(fetched.content, refresh.options, charset=fetched.charset)


def _source(refresh: Refresh) -> FeedSource:
    feed = refresh.feed
    etag, last_modified = (feed.etag, feed.last_modified) if refresh.is_copy_usable else (None, None)
    return FeedSource(feed.feed_type, feed.url, feed.username, feed.password, etag, last_modified)


def _limits() -> NetworkLimits:
    config = settings()
    seconds = config.calendar_timeout / timedelta(seconds=1)
    return NetworkLimits(seconds, config.calendar_max_bytes, config.calendar_private_hosts)


def _record_failure(refresh: Refresh, reason: str, retry_after: timedelta | None = None) -> None:
    with unit_of_work("sweep", "provision") as (db, ctx):
        service.record_failure(db, ctx, refresh, reason, retry_after)
    log.warning("calendar.not_read", feed=str(refresh.feed.id), reason=reason)


def _log_changes(feed: str, changes: LedgerChanges | None) -> None:
    if changes is None:
        log.warning("calendar.lease_lost", feed=feed)
        return
    log.info("calendar.read", feed=feed, added=changes.added, removed=changes.removed)
    for session_id in changes.covered:
        log.warning("calendar.covers_session", feed=feed, session=str(session_id))
    if changes.recovered:
        log.warning("calendar.recovered", feed=feed)


def _alert_outages() -> None:
    """Log an error for each calendar whose copy became stale, once for each outage."""
    with unit_of_work("sweep", "provision") as (db, ctx):
        stale = service.newly_stale_feeds(db, ctx)
    for_each_in_own_transaction(stale, _alert)


def _alert(db: Session, ctx: Context, feed_id: UUID) -> None:
    if service.claim_alert(db, ctx, feed_id):
        log.error("calendar.stale", feed=str(feed_id), outage=ctx.policies.calendar_outage)
