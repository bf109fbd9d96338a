"""The use cases around outside calendars: add and remove, look at them, believe them or not, list."""

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
    CALENDAR,
    OUTAGE,
    Busy,
    Piece,
    Reading,
    is_stale,
    merged,
    wait_after,
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
from booking_tasks.models import CalendarFeed
from booking_tasks.outbox.capacity_released import record_capacity_released

_refused = CalendarFeedOutcome.refusal

#: Calendars of one consultant, and the longest wait for the next look at one that fails.
MOST_FEEDS, LONGEST_WAIT = 20, timedelta(hours=1)
#: What is read: from yesterday until after the horizon. Whole days, so that an hour later is no change.
_BEFORE, _AFTER = timedelta(days=1), timedelta(days=2)
#: How far ahead nothing is offered while a calendar is not to be believed: longer than any horizon.
_CLOSED = timedelta(days=1000)
_ENVELOPE = {"message_id", "actor"}
REASON = "outside_calendar"


def set_calendar_feed(db: Session, ctx: Context, command: SetCalendarFeed) -> CalendarFeedOutcome:
    """Add or change a feed. Codes: `unknown_consultant`, `other_consultant`, `private_address`,

    `too_many_feeds`. The busy time that came from it stays until it has been read again.
    """
    if lock_consultant(db, command.consultant_user_id) is None:
        return _refused("unknown_consultant", "consultant_user_id", "is nobody we know; upsert them first")
    known = store.feed(db, command.feed_id)
    if known is not None and known.consultant_user_id != command.consultant_user_id:
        return _refused("other_consultant", "feed_id", "belongs to another consultant; choose a new id")
    if is_plainly_private(command.url, ctx.policies.calendar_private_hosts):
        remedy = "is no public host; an operator may name it in BOOKING_CALENDAR_PRIVATE_HOSTS"
        return _refused("private_address", "url", remedy)
    if known is None and store.feeds_of(db, command.consultant_user_id) >= MOST_FEEDS:
        return _refused("too_many_feeds", "feed_id", f"would be one of more than {MOST_FEEDS}; remove one")
    values = command.model_dump(exclude=_ENVELOPE | {"feed_id"}) | {"id": command.feed_id}
    changed = store.feed_changed(db, values | {"addresses": list(command.addresses)}, ctx.now)
    return CalendarFeedOutcome(result="done" if changed else "already_done", feed_id=command.feed_id)


def remove_calendar_feed(db: Session, ctx: Context, command: RemoveCalendarFeed) -> CalendarFeedOutcome:
    """Forget a feed and its busy time; one that is gone already is fine."""
    known = store.feed(db, command.feed_id)
    if known is None:
        return CalendarFeedOutcome(result="already_done", feed_id=command.feed_id)
    owner = known.consultant_user_id
    lock_consultant(db, owner)
    known = store.feed(db, command.feed_id)  # a rival may have removed it, and its id be in use again
    if known is None or known.consultant_user_id != owner:
        return CalendarFeedOutcome(result="already_done", feed_id=command.feed_id)
    store.remove(db, known)
    record_capacity_released(db, ctx, [owner], "calendar")
    return CalendarFeedOutcome(result="done", feed_id=command.feed_id)


# -- looking -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """One look at a feed: what is held, how it is to be read, and whether the copy we have will do if

    the server says that nothing has changed.
    """

    feed: LeasedFeed
    reading: Reading
    copy_will_do: bool


@dataclass(frozen=True)
class Kept:
    """What a good copy changed in the ledger. `covered` are sessions that it covers since now.

    `recovered`: an outage that somebody was told of is over.
    """

    added: int = 0
    removed: int = 0
    covered: tuple[UUID, ...] = ()
    recovered: bool = False


def next_look(db: Session, ctx: Context, term: timedelta) -> Look | None:
    """Lease the feed that is due, if there is one. `term` bounds fetching and reading it."""
    feed = store.lease(db, term)
    if feed is None:
        return None
    policies = ctx.policies
    today = datetime.combine(ctx.now.date(), time.min, ctx.now.tzinfo)
    reading = Reading(
        start=today - _BEFORE,
        end=today + policies.horizon + _AFTER,
        zone=feed.zone,
        uid_domain=policies.uid_domain,
        addresses=feed.addresses,
        tentative_busy=policies.calendar_tentative_busy,
        all_day_busy=feed.all_day_busy,
    )
    reaches = feed.read_until is not None and feed.read_until >= reading.end
    return Look(feed, reading, reaches and feed.manner == reading.manner)


def keep(
    db: Session,
    ctx: Context,
    look: Look,
    busy: Busy | None,
    etag: str | None,
    last_modified: str | None,
) -> Kept | None:
    """Bring the ledger to what the calendar says; `busy` is None when it has not changed.

    Touches only the rows that differ, under the consultant's lock. None when the feed was changed,
    removed or taken by another in the meantime: then nothing is written.
    """
    if lock_consultant(db, look.feed.consultant_user_id) is None:
        return None
    known = store.feed(db, look.feed.id)
    was_alerted = known is not None and known.alerted_at is not None
    values: dict[str, object] = {
        "good_at": ctx.now,
        "tried_at": ctx.now,
        "alerted_at": None,
        "failures": 0,
        "last_error": None,
        "etag": etag,
        "last_modified": last_modified,
    }
    if busy is not None:
        values |= {
            "manner": look.reading.manner,
            "read_until": look.reading.end,
            "unreadable": busy.unreadable,
        }
    if not store.settle(db, look.feed, ctx.policies.calendar_interval, **values):
        return None
    _replace(db, ctx, look.feed.consultant_user_id, OUTAGE + str(look.feed.id), [])
    if busy is None:
        return Kept(recovered=was_alerted)
    return _brought(db, ctx, look.feed, busy, recovered=was_alerted)


def _brought(db: Session, ctx: Context, feed: LeasedFeed, busy: Busy, *, recovered: bool) -> Kept:
    source, who = CALENDAR + str(feed.id), feed.consultant_user_id
    before = set(store.covered_sessions(db, [feed.id], ctx.now).get(source, []))
    harmless = store.sessions_that_do_not_block(db, {one for one, _ in busy.ours}, who)
    others = [piece for session_id, piece in busy.ours if session_id not in harmless]
    added, removed = _replace(db, ctx, who, source, merged([*busy.pieces, *others]))
    now_covered = store.covered_sessions(db, [feed.id], ctx.now).get(source, [])
    return Kept(added, removed, tuple(one for one in now_covered if one not in before), recovered)


def _replace(
    db: Session, ctx: Context, consultant_user_id: UUID, source: str, wanted: Sequence[Piece]
) -> tuple[int, int]:
    """Make the blocks of a source these; how many rows were added and removed."""
    there = store.blocks(db, consultant_user_id, source)
    keep_ = set(wanted)
    gone = [row for piece, row in there.items() if piece not in keep_]
    new = [piece for piece in wanted if piece not in there]
    store.change_blocks(db, consultant_user_id, source, gone, new)
    if gone:
        record_capacity_released(db, ctx, [consultant_user_id], "calendar")
    return len(new), len(gone)


def fail(db: Session, ctx: Context, look: Look, reason: str) -> bool:
    """Note that a look failed; the last good copy stays. False when the lease was no longer ours."""
    if lock_consultant(db, look.feed.consultant_user_id) is None:
        return False
    known = store.feed(db, look.feed.id)
    failures = known.failures + 1 if known is not None else 1
    wait = wait_after(failures, ctx.policies.calendar_interval, LONGEST_WAIT)
    settled = store.settle(db, look.feed, wait, tried_at=ctx.now, failures=failures, last_error=reason[:500])
    if settled and known is not None:
        _close_or_open(db, ctx, known)
    return settled


# -- believing ---------------------------------------------------------------------------------------------


def newly_stale(db: Session, ctx: Context, limit: int = 500) -> list[UUID]:
    """Feeds whose copy has grown too old and of which nobody has been told."""
    return store.unannounced(db, ctx.now - ctx.policies.calendar_stale_after, limit)


def announce(db: Session, ctx: Context, feed_id: UUID) -> bool:
    """Take it on oneself to tell of an outage: True for one caller alone, until it is over.

    Where outages are closed, nothing of the consultant's time is offered from here on.
    """
    known = store.feed(db, feed_id)
    if known is None or lock_consultant(db, known.consultant_user_id) is None:
        return False
    known = store.feed(db, feed_id)  # as it is under the lock
    if known is None or known.alerted_at is not None or not _stale(known, ctx):
        return False
    known.alerted_at = ctx.now
    db.flush()
    _close_or_open(db, ctx, known)
    return True


def _stale(feed: CalendarFeed, ctx: Context) -> bool:
    return is_stale(feed.good_at or feed.created_at, ctx.now, ctx.policies.calendar_stale_after)


def _close_or_open(db: Session, ctx: Context, feed: CalendarFeed) -> None:
    """The block that stands for an outage, where the deployment wants one: there or not."""
    closed = ctx.policies.calendar_outage == "closed" and _stale(feed, ctx)
    begun = (feed.good_at or feed.created_at) + ctx.policies.calendar_stale_after
    wanted = [Piece(begun, begun + _CLOSED)] if closed else []
    _replace(db, ctx, feed.consultant_user_id, OUTAGE + str(feed.id), wanted)


# -- listing -----------------------------------------------------------------------------------------------


def list_calendar_feeds(db: Session, ctx: Context, query: ListCalendarFeeds) -> CalendarFeedsOutcome:
    """Feeds with their age, what went wrong last, and the sessions ahead that they cover."""
    found = store.feeds(db, query.consultant_user_id, query.after, query.limit)
    pieces = store.counted_blocks(db, found)
    covered = store.covered_sessions(db, [one.id for one in found], ctx.now)
    return CalendarFeedsOutcome(
        result="done",
        feeds=tuple(
            _state(one, ctx, pieces.get(CALENDAR + str(one.id), 0), covered.get(CALENDAR + str(one.id)))
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
        feed_type=feed.feed_type,
        good_at=feed.good_at,
        age_minutes=age,
        stale=_stale(feed, ctx),
        tried_at=feed.tried_at,
        failures=feed.failures,
        last_error=feed.last_error,
        busy_pieces=pieces,
        unreadable=feed.unreadable,
        covered=tuple(CoveredSession(session_id=one, reason=REASON) for one in covered or ()),
    )
