"""Feeds, their leases, and the busy time that came from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, delete, func, or_, select, text, union, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.calendars.rules import CALENDAR, OUTAGE, Piece
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
from booking_tasks.requests.confirmation_requests import ASKED
from booking_tasks.states import OPEN

_REAL_TIME = func.clock_timestamp()


@dataclass(frozen=True)
class LeasedFeed:
    """A feed that this worker looks at. `token` is the fence: what is written later must name it."""

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
    manner: str | None
    read_until: datetime | None


def lease(db: Session, term: timedelta) -> LeasedFeed | None:
    """Take the feed that has been due for longest, for `term` of real time; None when none is.

    The next look is put off at once, so that a calendar that ends its worker is not taken at once again.
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
                "manner",
                "read_until",
            )
        },
    )


def settle(db: Session, leased: LeasedFeed, wait: timedelta, **values: Any) -> bool:
    """Write what came of a look and when the next one is due; False when the lease is no longer ours."""
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
    """The feed as it is now."""
    return db.get(CalendarFeed, feed_id, populate_existing=True)


def feed_changed(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Store a feed; whether that changed anything. A changed one is read anew, from the beginning."""
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
            manner=None,
            read_until=None,
        )
        .execution_options(synchronize_session=False)
    )
    return True


def remove(db: Session, feed: CalendarFeed) -> None:
    """Delete a feed and the time that came from it."""
    db.execute(
        delete(AvailabilitySlot).where(
            AvailabilitySlot.consultant_user_id == feed.consultant_user_id,
            AvailabilitySlot.source.in_((CALENDAR + str(feed.id), OUTAGE + str(feed.id))),
            _IS_BLOCK,
        )
    )
    db.execute(delete(CalendarFeed).where(CalendarFeed.id == feed.id))


def feeds_of(db: Session, consultant_user_id: UUID) -> int:
    """How many feeds a consultant has."""
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


def unannounced(db: Session, before: datetime, limit: int) -> list[UUID]:
    """Feeds whose last good copy is older than an instant, and of which nobody has been told."""
    since = func.coalesce(CalendarFeed.good_at, CalendarFeed.created_at)
    old = select(CalendarFeed.id).where(since < before, CalendarFeed.alerted_at.is_(None))
    return list(db.execute(old.order_by(CalendarFeed.id).limit(limit)).scalars())


# -- busy time ---------------------------------------------------------------------------------------------

_IS_BLOCK: ColumnElement[bool] = AvailabilitySlot.status == "unavailable"


def blocks(db: Session, consultant_user_id: UUID, source: str) -> dict[Piece, UUID]:
    """The busy time of one source, with its row ids."""
    rows = db.execute(
        select(AvailabilitySlot.start_time, AvailabilitySlot.end_time, AvailabilitySlot.id).where(
            AvailabilitySlot.consultant_user_id == consultant_user_id,
            AvailabilitySlot.source == source,
            _IS_BLOCK,
        )
    )
    return {Piece(start, end): id_ for start, end, id_ in rows}


def change_blocks(
    db: Session, consultant_user_id: UUID, source: str, gone: Sequence[UUID], new: Iterable[Piece]
) -> None:
    """Touch only the rows that differ."""
    if gone:
        db.execute(delete(AvailabilitySlot).where(AvailabilitySlot.id.in_(gone)))
    rows = [
        {
            "id": uuid7(),
            "consultant_user_id": consultant_user_id,
            "start_time": piece.start,
            "end_time": piece.end,
            "status": "unavailable",
            "source": source,
        }
        for piece in new
    ]
    if rows:
        db.execute(insert(AvailabilitySlot), rows)


def counted_blocks(db: Session, feeds: Sequence[CalendarFeed]) -> dict[str, int]:
    """How many rows of busy time each feed has, by source."""
    counted = (
        select(AvailabilitySlot.source, func.count())
        .where(
            AvailabilitySlot.consultant_user_id.in_({feed.consultant_user_id for feed in feeds}),
            AvailabilitySlot.source.in_([CALENDAR + str(feed.id) for feed in feeds]),
            _IS_BLOCK,
        )
        .group_by(AvailabilitySlot.source)
    )
    return {row[0]: row[1] for row in db.execute(counted)}


def sessions_that_do_not_block(db: Session, ids: Iterable[UUID], consultant_user_id: UUID) -> set[UUID]:
    """Of these consultations, those that take none of the person's time beside the ledger's own facts.

    The ledger knows what they give, and what they are asked to give: a question's entry has its id. What
    they attend as requester, with somebody else, takes their time.
    """
    attended = (ScheduledSession.requester_user_id == consultant_user_id) & ScheduledSession.status.in_(OPEN)
    wanted = list(ids)
    known = select(ScheduledSession.id).where(ScheduledSession.id.in_(wanted), ~attended)
    asked = select(Event.id).where(
        Event.id.in_(wanted), Event.type == ASKED, Event.consultant_user_id == consultant_user_id
    )
    return set(db.execute(union(known, asked)).scalars())


def covered_sessions(db: Session, feed_ids: Sequence[UUID], now: datetime) -> dict[str, list[UUID]]:
    """Sessions ahead that the busy time of a feed covers, in part or whole, by source."""
    rows = db.execute(
        text(
            "SELECT DISTINCT b.source, s.id, s.scheduled_start_time"
            "  FROM consultant_availability_slots b"
            "  JOIN scheduled_sessions s ON s.consultant_user_id = b.consultant_user_id"
            "   AND tstzrange(s.scheduled_start_time, s.scheduled_end_time)"
            "       && tstzrange(b.start_time, b.end_time)"
            " WHERE b.status = 'unavailable' AND b.source = ANY (:sources)"
            "   AND b.consultant_user_id IN"
            "       (SELECT f.consultant_user_id FROM calendar_feeds f WHERE f.id = ANY (:feeds))"
            "   AND s.status = 'scheduled' AND s.scheduled_start_time > :now"
            " ORDER BY s.scheduled_start_time, s.id"
        ),
        {"sources": [CALENDAR + str(one) for one in feed_ids], "feeds": list(feed_ids), "now": now},
    )
    found: dict[str, list[UUID]] = {}
    for source, session_id, _ in rows:
        found.setdefault(source, []).append(session_id)
    return found
