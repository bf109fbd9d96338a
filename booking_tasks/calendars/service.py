"""The use cases of outside calendars: set and remove a feed, refresh it, alert on outages, list feeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability.store import lock_consultant
from booking_tasks.calendars import store
from booking_tasks.calendars.addresses import is_plainly_private
from booking_tasks.calendars.rules import (
    CALENDAR_SOURCE,
    OUTAGE_SOURCE,
    UNREADABLE_SOURCE,
    BusyInterval,
    BusyTime,
    ReadOptions,
    is_stale,
    merged,
    retry_delay,
)
from booking_tasks.calendars.store import LeasedFeed
from booking_tasks.context import Context
from booking_tasks.contracts import (
    CalendarFeedOutcome,
    CalendarFeedsOutcome,
    CalendarFeedState,
    CoveredSession,
    ListCalendarFeeds,
    RemoveCalendarFeed,
    SetCalendarFeed,
)
from booking_tasks.contracts.base import CommonCode
from booking_tasks.contracts.calendars import SetFeedCode
from booking_tasks.enums import FeedType, RefusalCode
from booking_tasks.hours import service as hours
from booking_tasks.models import CalendarFeed
from booking_tasks.outbox.capacity_released import record_capacity_released

_refused = CalendarFeedOutcome[SetFeedCode].refusal

#: The most calendars of one consultant, and the longest delay of the next refresh after failures.
MOST_FEEDS, LONGEST_WAIT = 20, timedelta(hours=1)
#: The longest that a server may ask to be left alone.
_LONGEST_RETRY_AFTER = timedelta(days=1)
#: Read from yesterday until after the horizon: whole days, so that the range does not change within one.
_BEFORE, _AFTER = timedelta(days=1), timedelta(days=2)
#: The length of the block for an outage: longer than any horizon.
_OUTAGE_BLOCK_LENGTH = timedelta(days=1000)
_ENVELOPE = {"message_id", "actor"}
REASON = "outside_calendar"


def set_calendar_feed(
    db: Session, ctx: Context, command: SetCalendarFeed
) -> CalendarFeedOutcome[SetFeedCode]:
    """Add or change a feed.

    Codes: `unknown_consultant`, `other_consultant`, `private_address`, `too_many_feeds`. The busy time that
    was read from a changed feed stays until the feed has been read again.
    """
    if lock_consultant(db, command.consultant_user_id) is None:
        return _refused(
            RefusalCode.UNKNOWN_CONSULTANT,
            "consultant_user_id",
            "names no consultant; upsert the profile first",
        )
    known = store.feed(db, command.feed_id)
    if known is not None and known.consultant_user_id != command.consultant_user_id:
        return _refused(
            RefusalCode.OTHER_CONSULTANT, "feed_id", "belongs to another consultant; choose a new id"
        )
    if is_plainly_private(command.url, ctx.policies.calendar_private_hosts):
        remedy = "is no public host; an operator may allow it in BOOKING_CALENDAR_PRIVATE_HOSTS"
        return _refused(RefusalCode.PRIVATE_ADDRESS, "url", remedy)
    if known is None and store.count_feeds(db, command.consultant_user_id) >= MOST_FEEDS:
        return _refused(
            RefusalCode.TOO_MANY_FEEDS,
            "feed_id",
            f"would exceed {MOST_FEEDS} feeds of this consultant; remove one",
        )
    values = command.model_dump(exclude=_ENVELOPE | {"feed_id"}) | {"id": command.feed_id}
    changed = store.upsert_feed(db, values | {"addresses": list(command.addresses)}, ctx.now)
    return CalendarFeedOutcome(result="done" if changed else "already_done", feed_id=command.feed_id)


def remove_calendar_feed(
    db: Session, ctx: Context, command: RemoveCalendarFeed
) -> CalendarFeedOutcome[CommonCode]:
    """Delete a feed and its busy time; `already_done` when there is none."""
    known = store.feed(db, command.feed_id)
    if known is None:
        return CalendarFeedOutcome(result="already_done", feed_id=command.feed_id)
    owner = known.consultant_user_id
    lock_consultant(db, owner)
    known = store.feed(db, command.feed_id)  # removed, and its id used again, by another transaction
    if known is None or known.consultant_user_id != owner:
        return CalendarFeedOutcome(result="already_done", feed_id=command.feed_id)
    store.delete_feed(db, known)
    record_capacity_released(db, ctx, [owner], "calendar")
    return CalendarFeedOutcome(result="done", feed_id=command.feed_id)


# -- refreshing ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refresh:
    """One refresh of a leased feed.

    `is_copy_usable`: the stored copy was read by the same options and reaches far enough, so that it stays
    when the server answers that the calendar has not changed.
    """

    feed: LeasedFeed
    options: ReadOptions
    is_copy_usable: bool


@dataclass(frozen=True)
class LedgerChanges:
    """What a stored copy changed in the ledger.

    `covered` are the sessions that it covers and the copy before did not. `recovered`: an outage for which
    an alert was logged is over.
    """

    added: int = 0
    removed: int = 0
    covered: tuple[UUID, ...] = ()
    recovered: bool = False


def begin_refresh(db: Session, ctx: Context, term: timedelta) -> Refresh | None:
    """Lease the feed that is due, or return None. The refresh must end within `term`."""
    feed = store.lease_due_feed(db, term)
    if feed is None:
        return None
    policies = ctx.policies
    today = datetime.combine(ctx.now.date(), time.min, ctx.now.tzinfo)
    options = ReadOptions(
        start=today - _BEFORE,
        end=today + policies.horizon + _AFTER,
        zone=feed.zone,
        uid_domain=policies.uid_domain,
        addresses=feed.addresses,
        tentative_busy=policies.calendar_tentative_busy,
        all_day_busy=feed.all_day_busy,
        travel=hours.travel_days(db, feed.consultant_user_id),
    )
    reaches = feed.read_until is not None and feed.read_until >= options.end
    return Refresh(feed, options, reaches and feed.options_digest == options.options_digest)


def store_copy(
    db: Session,
    ctx: Context,
    refresh: Refresh,
    busy: BusyTime | None,
    etag: str | None,
    last_modified: str | None,
) -> LedgerChanges | None:
    """Update the ledger to the calendar's busy time; `busy` is None when the calendar has not changed.

    Writes only the rows that differ, under the consultant's lock. Returns None, and writes nothing, when the
    feed was changed, removed or leased by another worker in the meantime.
    """
    if lock_consultant(db, refresh.feed.consultant_user_id) is None:
        return None
    known = store.feed(db, refresh.feed.id)
    was_alerted = known is not None and known.alerted_at is not None
    values = {"etag": etag, "last_modified": last_modified} | _columns_of_copy(ctx, refresh.options, busy)
    if not store.finish(db, refresh.feed, ctx.policies.calendar_interval, **values):
        return None
    _replace_blocks(db, ctx, refresh.feed.consultant_user_id, OUTAGE_SOURCE + str(refresh.feed.id), [])
    missing_time = busy.missing_time if busy is not None else known.missing_time if known is not None else 0
    _update_unreadable_block(db, ctx, refresh.feed, missing_time)
    if busy is None:
        return LedgerChanges(recovered=was_alerted)
    return _update_ledger(db, ctx, refresh.feed, busy, recovered=was_alerted)


def _columns_of_copy(ctx: Context, options: ReadOptions, busy: BusyTime | None) -> dict[str, object]:
    """The columns of a feed whose copy is good; without `busy`, what was read before stays."""
    values: dict[str, object] = {
        "good_at": ctx.now,
        "tried_at": ctx.now,
        "alerted_at": None,
        "failures": 0,
        "last_error": None,
    }
    if busy is None:
        return values
    return values | {
        "options_digest": options.options_digest,
        "read_until": options.end,
        "unreadable": busy.unreadable,
        "missing_time": busy.missing_time,
        "superseded": busy.superseded,
        "ambiguous": busy.ambiguous,
    }


def _update_unreadable_block(db: Session, ctx: Context, feed: LeasedFeed, missing_time: int) -> None:
    """Insert or delete the block for entries of which the time is not known, by the deployment's policy."""
    source, who = UNREADABLE_SOURCE + str(feed.id), feed.consultant_user_id
    is_closed = ctx.policies.calendar_unreadable == "closed" and missing_time > 0
    if is_closed and store.blocks(db, who, source):
        return
    intervals = [BusyInterval(ctx.now, ctx.now + _OUTAGE_BLOCK_LENGTH)] if is_closed else []
    _replace_blocks(db, ctx, who, source, intervals)


def _update_ledger(
    db: Session, ctx: Context, feed: LeasedFeed, busy: BusyTime, *, recovered: bool
) -> LedgerChanges:
    source, who = CALENDAR_SOURCE + str(feed.id), feed.consultant_user_id
    before = set(store.covered_sessions(db, [feed.id], ctx.now).get(source, []))
    harmless = store.sessions_that_do_not_block(db, {one for one, _ in busy.own_sessions}, who)
    others = [interval for session_id, interval in busy.own_sessions if session_id not in harmless]
    added, removed = _replace_blocks(db, ctx, who, source, merged([*busy.intervals, *others]))
    now_covered = store.covered_sessions(db, [feed.id], ctx.now).get(source, [])
    return LedgerChanges(added, removed, tuple(one for one in now_covered if one not in before), recovered)


def _replace_blocks(
    db: Session, ctx: Context, consultant_user_id: UUID, source: str, intervals: Sequence[BusyInterval]
) -> tuple[int, int]:
    """Replace the blocks of a source; return how many rows were added and removed."""
    there = store.blocks(db, consultant_user_id, source)
    target = set(intervals)
    removed = [row for interval, row in there.items() if interval not in target]
    added = [interval for interval in intervals if interval not in there]
    store.update_blocks(db, consultant_user_id, source, removed, added)
    if removed:
        record_capacity_released(db, ctx, [consultant_user_id], "calendar")
    return len(added), len(removed)


def record_failure(
    db: Session, ctx: Context, refresh: Refresh, reason: str, retry_after: timedelta | None = None
) -> bool:
    """Record a failed refresh; the last good copy stays. Returns False when the lease was lost.

    `retry_after`: how long the server asks to be left alone, a day at most.
    """
    if lock_consultant(db, refresh.feed.consultant_user_id) is None:
        return False
    known = store.feed(db, refresh.feed.id)
    failures = known.failures + 1 if known is not None else 1
    wait = retry_delay(failures, ctx.policies.calendar_interval, LONGEST_WAIT)
    wait = max(wait, min(retry_after or timedelta(), _LONGEST_RETRY_AFTER))
    finished = store.finish(
        db, refresh.feed, wait, tried_at=ctx.now, failures=failures, last_error=reason[:500]
    )
    if finished and known is not None:
        _update_outage_block(db, ctx, known)
    return finished


# -- outages ---------------------------------------------------------------------------------------------


def newly_stale_feeds(db: Session, ctx: Context, limit: int = 500) -> list[UUID]:
    """The feeds whose copy became stale and for which no alert was logged yet."""
    return store.feeds_without_alert(db, ctx.now - ctx.policies.calendar_stale_after, limit)


def claim_alert(db: Session, ctx: Context, feed_id: UUID) -> bool:
    """Claim the alert of an outage: returns True for one caller, once for each outage.

    Where the deployment closes outages, none of the consultant's time is offered from here on.
    """
    known = store.feed(db, feed_id)
    if known is None or lock_consultant(db, known.consultant_user_id) is None:
        return False
    known = store.feed(db, feed_id)  # as it is under the lock
    if known is None or known.alerted_at is not None or not _is_stale(known, ctx):
        return False
    known.alerted_at = ctx.now
    db.flush()
    _update_outage_block(db, ctx, known)
    return True


def _is_stale(feed: CalendarFeed, ctx: Context) -> bool:
    return is_stale(feed.good_at or feed.created_at, ctx.now, ctx.policies.calendar_stale_after)


def _update_outage_block(db: Session, ctx: Context, feed: CalendarFeed) -> None:
    """Insert or delete the block for an outage, by the deployment's policy."""
    closed = ctx.policies.calendar_outage == "closed" and _is_stale(feed, ctx)
    begun = (feed.good_at or feed.created_at) + ctx.policies.calendar_stale_after
    intervals = [BusyInterval(begun, begun + _OUTAGE_BLOCK_LENGTH)] if closed else []
    _replace_blocks(db, ctx, feed.consultant_user_id, OUTAGE_SOURCE + str(feed.id), intervals)


# -- listing -----------------------------------------------------------------------------------------------


def list_calendar_feeds(db: Session, ctx: Context, query: ListCalendarFeeds) -> CalendarFeedsOutcome:
    """List feeds with their age, their last error, and the future sessions that they cover."""
    found = store.feeds(db, query.consultant_user_id, query.after, query.limit)
    pieces = store.block_counts(db, found)
    covered = store.covered_sessions(db, [one.id for one in found], ctx.now)
    return CalendarFeedsOutcome(
        result="done",
        feeds=tuple(
            _state(
                one,
                ctx,
                pieces.get(CALENDAR_SOURCE + str(one.id), 0),
                covered.get(CALENDAR_SOURCE + str(one.id)),
            )
            for one in found
        ),
    )


def _state(
    feed: CalendarFeed, ctx: Context, pieces: int, covered: Sequence[UUID] | None
) -> CalendarFeedState:
    age = None if feed.good_at is None else (ctx.now - feed.good_at) // timedelta(minutes=1)
    return CalendarFeedState(
        feed_id=feed.id,
        consultant_user_id=feed.consultant_user_id,
        feed_type=FeedType(feed.feed_type),
        good_at=feed.good_at,
        age_minutes=age,
        stale=_is_stale(feed, ctx),
        tried_at=feed.tried_at,
        failures=feed.failures,
        last_error=feed.last_error,
        busy_pieces=pieces,
        unreadable=feed.unreadable,
        missing_time=feed.missing_time,
        superseded=feed.superseded,
        ambiguous=feed.ambiguous,
        covered=tuple(CoveredSession(session_id=one, reason=REASON) for one in covered or ()),
    )
