"""Feeds, their leases, and the busy time that came from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, delete, func, or_, select, union, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.calendars.rules import CALENDAR_SOURCE, OUTAGE_SOURCE, UNREADABLE_SOURCE, BusyInterval
from booking_tasks.enums import SlotStatus
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import (
    AvailabilitySlot,
    CalendarFeed,
    Consultant,
    DirectoryUser,
    Event,
    ScheduledSession,
)
from booking_tasks.models.upsert import upsert
from booking_tasks.outbox.event_types import EventType
from booking_tasks.sql import query
from booking_tasks.states import OPEN

_REAL_TIME = func.clock_timestamp()


@dataclass(frozen=True)
class LeasedFeed:
    """A feed that this worker refreshes. `token` is the fence: every later write must name it."""

    id: UUID
    consultant_user_id: UUID
    token: UUID
    feed_type: str
    url: str = field(repr=False)
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    addresses: tuple[str, ...] = field(repr=False)
    all_day_busy: bool
    zone: str
    etag: str | None
    last_modified: str | None
    options_digest: str | None
    read_until: datetime | None


def lease_due_feed(db: Session, term: timedelta) -> LeasedFeed | None:
    """Lease the feed that has been due for longest, for `term` of real time; return None when none is due.

    The next refresh is put off in the same statement: a calendar that crashes its worker is not leased
    again at once.
    """
    due = (
        select(CalendarFeed.id)
        .where(
            CalendarFeed.due_at <= _REAL_TIME,
            or_(CalendarFeed.lease_until.is_(None), CalendarFeed.lease_until <= _REAL_TIME),
        )
        .order_by(CalendarFeed.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).cte("due")  # a CTE runs once; a subquery may run again and lock more
    taken = (
        update(CalendarFeed)
        .where(CalendarFeed.id.in_(select(due.c.id)))
        .values(lease_token=uuid7(), lease_until=_REAL_TIME + term, due_at=_REAL_TIME + term)
        .returning(CalendarFeed)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    feed = db.execute(taken).scalar_one_or_none()
    return None if feed is None else _leased(db, feed)


def _leased(db: Session, feed: CalendarFeed) -> LeasedFeed:
    assert feed.lease_token is not None  # noqa: S101 - just written
    zone = db.execute(
        select(Consultant.time_zone).where(Consultant.consultant_user_id == feed.consultant_user_id)
    ).scalar_one()
    own = db.execute(
        select(DirectoryUser.email).where(DirectoryUser.user_id == feed.consultant_user_id)
    ).scalars()
    return LeasedFeed(
        token=feed.lease_token,
        zone=zone,
        addresses=tuple(sorted({*feed.addresses, *own})),
        **{
            name: getattr(feed, name)
            for name in (
                "id",
                "consultant_user_id",
                "feed_type",
                "url",
                "username",
                "password",
                "all_day_busy",
                "etag",
                "last_modified",
                "options_digest",
                "read_until",
            )
        },
    )


def finish(db: Session, leased: LeasedFeed, wait: timedelta, **values: Any) -> bool:
    """Store the result of a refresh and when the next one is due; return False when the lease was lost."""
    changed = db.execute(
        update(CalendarFeed)
        .where(
            CalendarFeed.id == leased.id,
            CalendarFeed.lease_token == leased.token,
            CalendarFeed.lease_until > _REAL_TIME,
        )
        .values(lease_token=None, lease_until=None, due_at=_REAL_TIME + wait, **values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)  # noqa: S101 - narrows the type of an UPDATE's result
    return changed.rowcount == 1


# -- feeds -----------------------------------------------------------------------------------------------


def feed(db: Session, feed_id: UUID) -> CalendarFeed | None:
    """A feed as it is now, or None."""
    return db.get(CalendarFeed, feed_id, populate_existing=True)


def upsert_feed(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Insert or update a feed; return whether that changed anything. A changed feed is read again in full."""
    if not upsert(db, CalendarFeed, values, now):
        return False
    db.execute(
        update(CalendarFeed)
        .where(CalendarFeed.id == values["id"])
        .values(
            due_at=_REAL_TIME,
            lease_token=None,
            lease_until=None,
            failures=0,
            last_error=None,
            etag=None,
            last_modified=None,
            options_digest=None,
            read_until=None,
        )
        .execution_options(synchronize_session=False)
    )
    return True


def delete_feed(db: Session, feed: CalendarFeed) -> None:
    """Delete a feed and its busy time."""
    db.execute(
        delete(AvailabilitySlot).where(
            AvailabilitySlot.consultant_user_id == feed.consultant_user_id,
            AvailabilitySlot.source.in_(
                [source + str(feed.id) for source in (CALENDAR_SOURCE, OUTAGE_SOURCE, UNREADABLE_SOURCE)]
            ),
            _IS_BLOCK,
        )
    )
    db.execute(delete(CalendarFeed).where(CalendarFeed.id == feed.id))


def count_feeds(db: Session, consultant_user_id: UUID) -> int:
    """The number of a consultant's feeds."""
    counted = select(func.count()).where(CalendarFeed.consultant_user_id == consultant_user_id)
    return db.execute(counted).scalar_one()


def feeds(
    db: Session, consultant_user_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[CalendarFeed]:
    """Feeds in the order of their ids."""
    found = select(CalendarFeed).order_by(CalendarFeed.id).limit(limit)
    if consultant_user_id is not None:
        found = found.where(CalendarFeed.consultant_user_id == consultant_user_id)
    if after is not None:
        found = found.where(CalendarFeed.id > after)
    return db.execute(found).scalars().all()


def feeds_without_alert(db: Session, before: datetime, limit: int) -> list[UUID]:
    """The feeds whose last good copy is older than `before`, and for which no alert was logged."""
    since = func.coalesce(CalendarFeed.good_at, CalendarFeed.created_at)
    old = select(CalendarFeed.id).where(since < before, CalendarFeed.alerted_at.is_(None))
    return list(db.execute(old.order_by(CalendarFeed.id).limit(limit)).scalars())


# -- busy time ---------------------------------------------------------------------------------------------

_IS_BLOCK: ColumnElement[bool] = AvailabilitySlot.status == SlotStatus.UNAVAILABLE


def blocks(db: Session, consultant_user_id: UUID, source: str) -> dict[BusyInterval, UUID]:
    """The blocks of one source, with their row ids."""
    rows = db.execute(
        select(AvailabilitySlot.start_time, AvailabilitySlot.end_time, AvailabilitySlot.id).where(
            AvailabilitySlot.consultant_user_id == consultant_user_id,
            AvailabilitySlot.source == source,
            _IS_BLOCK,
        )
    )
    return {BusyInterval(start, end): id_ for start, end, id_ in rows}


def update_blocks(
    db: Session, consultant_user_id: UUID, source: str, removed: Sequence[UUID], added: Iterable[BusyInterval]
) -> None:
    """Delete and insert blocks; rows that stay the same are not written."""
    if removed:
        db.execute(delete(AvailabilitySlot).where(AvailabilitySlot.id.in_(removed)))
    rows = [
        {
            "id": uuid7(),
            "consultant_user_id": consultant_user_id,
            "start_time": interval.start,
            "end_time": interval.end,
            "status": SlotStatus.UNAVAILABLE,
            "source": source,
        }
        for interval in added
    ]
    if rows:
        db.execute(insert(AvailabilitySlot), rows)


def block_counts(db: Session, feeds: Sequence[CalendarFeed]) -> dict[str, int]:
    """The number of blocks of each feed, by source."""
    counted = (
        select(AvailabilitySlot.source, func.count())
        .where(
            AvailabilitySlot.consultant_user_id.in_({feed.consultant_user_id for feed in feeds}),
            AvailabilitySlot.source.in_([CALENDAR_SOURCE + str(feed.id) for feed in feeds]),
            _IS_BLOCK,
        )
        .group_by(AvailabilitySlot.source)
    )
    return {row[0]: row[1] for row in db.execute(counted)}


def sessions_that_do_not_block(db: Session, ids: Iterable[UUID], consultant_user_id: UUID) -> set[UUID]:
    """Those of these sessions and confirmation requests whose calendar entries need not block time.

    The time of sessions that the person holds as consultant is in the ledger already, and so is the time of
    confirmation requests: their calendar entry has the id of the event. A session that the person attends
    as requester does block.
    """
    attended = (ScheduledSession.requester_user_id == consultant_user_id) & ScheduledSession.status.in_(OPEN)
    candidates = list(ids)
    known = select(ScheduledSession.id).where(ScheduledSession.id.in_(candidates), ~attended)
    requested = select(Event.id).where(
        Event.id.in_(candidates),
        Event.type == EventType.REQUEST_CONFIRMATION_REQUESTED,
        Event.consultant_user_id == consultant_user_id,
    )
    return set(db.execute(union(known, requested)).scalars())


def covered_sessions(db: Session, feed_ids: Sequence[UUID], now: datetime) -> dict[str, list[UUID]]:
    """The future sessions that a feed's busy time covers, in part or whole, by source."""
    rows = db.execute(
        query(__package__, "covered_sessions"),
        {"sources": [CALENDAR_SOURCE + str(one) for one in feed_ids], "feeds": list(feed_ids), "now": now},
    )
    found: dict[str, list[UUID]] = {}
    for source, session_id, _ in rows:
        found.setdefault(source, []).append(session_id)
    return found
