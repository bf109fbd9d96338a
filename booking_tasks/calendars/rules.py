"""Busy time as plain values, and when a calendar is looked at again or no longer believed. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

#: Where busy time in the ledger comes from; after it stands the feed's id.
CALENDAR, OUTAGE = "calendar:", "calendar-outage:"


@dataclass(frozen=True, order=True)
class Piece:
    """Time that is not free, between two instants (UTC), the end excluded."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Reading:
    """How a calendar is read: which stretch of it, in whose zone and under which choices.

    Times without a zone and whole days are those of `zone`. `addresses` are the mail addresses under
    which its owner is invited. `all_day_busy` takes whole days as busy even when they are marked free.
    """

    start: datetime
    end: datetime
    zone: str
    uid_domain: str
    addresses: tuple[str, ...] = field(default=(), repr=False)
    tentative_busy: bool = True
    all_day_busy: bool = False

    @property
    def manner(self) -> str:
        """What else than the calendar's content decides the result, without the stretch: a digest."""
        choices = (self.zone, self.uid_domain, self.addresses, self.tentative_busy, self.all_day_busy)
        return hashlib.sha256(repr(choices).encode()).hexdigest()


@dataclass(frozen=True)
class Busy:
    """What a calendar says: `pieces` in order and apart, and consultations of this very service.

    Those are for the caller to judge: it knows whose they are. `unreadable` counts the entries that
    nobody could make sense of.
    """

    pieces: tuple[Piece, ...] = ()
    ours: tuple[tuple[UUID, Piece], ...] = ()
    unreadable: int = 0


def merged(pieces: Iterable[Piece]) -> list[Piece]:
    """The same time in order, as few pieces as can be: what touches or overlaps is one."""
    found: list[Piece] = []
    for piece in sorted(pieces):
        if found and piece.start <= found[-1].end:
            found[-1] = Piece(found[-1].start, max(found[-1].end, piece.end))
        else:
            found.append(piece)
    return found


def clipped(piece: Piece, start: datetime, end: datetime) -> Piece | None:
    """The part of a piece between two instants, if there is any."""
    part = Piece(max(piece.start, start), min(piece.end, end))
    return part if part.start < part.end else None


def wait_after(failures: int, interval: timedelta, longest: timedelta) -> timedelta:
    """How long until the next look: the interval, doubled with every failure in a row."""
    return max(interval, min(longest, interval * (1 << min(failures, 10))))


def is_stale(good_since: datetime, now: datetime, limit: timedelta) -> bool:
    """Whether the last good copy (or, without one, the feed itself) is too old to be believed."""
    return now - good_since > limit
