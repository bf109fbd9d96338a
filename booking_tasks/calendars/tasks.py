"""Public tasks and the sweep that looks at outside calendars."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.calendars import sandbox as confined
from booking_tasks.calendars import service
from booking_tasks.calendars.network import FetchError, NetworkLimits
from booking_tasks.calendars.provider import Source, fetch
from booking_tasks.calendars.service import Kept, Look
from booking_tasks.celery import app
from booking_tasks.context import Context
from booking_tasks.contracts import TASK_PREFIX, ListCalendarFeeds, RemoveCalendarFeed, SetCalendarFeed
from booking_tasks.inbox.receiver import accepts, answers
from booking_tasks.kit.logs import logger
from booking_tasks.kit.settings import settings
from booking_tasks.kit.shutdown import is_requested
from booking_tasks.unit_of_work import for_each_in_own_transaction, unit_of_work

log = logger(__name__)

#: How long one run of the sweep begins new looks; others take up what it leaves.
_BEGINS_FOR = 60.0
#: Reading a copy and writing it down, beside fetching it.
_READING = timedelta(seconds=90)

set_calendar_feed = accepts(SetCalendarFeed)(service.set_calendar_feed)
remove_calendar_feed = accepts(RemoveCalendarFeed)(service.remove_calendar_feed)
list_calendar_feeds = answers(ListCalendarFeeds)(service.list_calendar_feeds)


@app.task(name=TASK_PREFIX + "refresh_calendars")
def refresh_calendars() -> int:
    """Look at the calendars that are due, one after the other; returns how many were looked at."""
    began, looked = time.monotonic(), 0
    while not is_requested() and time.monotonic() - began < _BEGINS_FOR:
        with unit_of_work("sweep", "provision") as (db, ctx):
            look = service.next_look(db, ctx, settings().calendar_timeout + _READING)
        if look is None:
            break
        _look(look)
        looked += 1
    _tell_of_outages()
    return looked


def _look(look: Look) -> None:
    """Fetch and read outside any transaction, then write what came of it in one."""
    feed = str(look.feed.id)
    try:
        fetched = fetch(_source(look), look.reading, _limits())
        busy = None if fetched.content is None else confined.busy(fetched.content, look.reading)
    except (FetchError, confined.NotReadError) as error:
        _failed(look, str(error))
        return
    except Exception as error:  # what others write may trip any library; only this feed fails
        log.exception("calendar.look_failed", feed=feed)
        _failed(look, f"looking at it failed unexpectedly ({type(error).__name__}); the log says more")
        return
    with unit_of_work("sweep", "provision") as (db, ctx):
        kept = service.keep(db, ctx, look, busy, fetched.etag, fetched.last_modified)
    _tell_what_changed(feed, kept)


def _source(look: Look) -> Source:
    feed = look.feed
    etag, last_modified = (feed.etag, feed.last_modified) if look.copy_will_do else (None, None)
    return Source(feed.feed_type, feed.url, feed.username, feed.password, etag, last_modified)


def _limits() -> NetworkLimits:
    config = settings()
    seconds = config.calendar_timeout / timedelta(seconds=1)
    return NetworkLimits(seconds, config.calendar_max_bytes, config.calendar_private_hosts)


def _failed(look: Look, reason: str) -> None:
    with unit_of_work("sweep", "provision") as (db, ctx):
        service.fail(db, ctx, look, reason)
    log.warning("calendar.not_read", feed=str(look.feed.id), reason=reason)


def _tell_what_changed(feed: str, kept: Kept | None) -> None:
    if kept is None:
        log.warning("calendar.lease_lost", feed=feed)
        return
    log.info("calendar.read", feed=feed, added=kept.added, removed=kept.removed)
    for session_id in kept.covered:
        log.warning("calendar.covers_session", feed=feed, session=str(session_id))
    if kept.recovered:
        log.warning("calendar.recovered", feed=feed)


def _tell_of_outages() -> None:
    """One line, as an error, for each calendar whose copy has grown too old: once until it is back."""
    with unit_of_work("sweep", "provision") as (db, ctx):
        stale = service.newly_stale(db, ctx)
    for_each_in_own_transaction(stale, _tell)


def _tell(db: Session, ctx: Context, feed_id: UUID) -> None:
    if service.announce(db, ctx, feed_id):
        log.error("calendar.stale", feed=str(feed_id), outage=ctx.policies.calendar_outage)
