"""Which sessions the hours no longer cover, and why; and which starts hours give. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol
from uuid import UUID

from booking_tasks.contracts import UncoveredReason, UncoveredSession
from booking_tasks.hours.local_times import Span
from booking_tasks.hours.rules import Plan, Window, merged

_DAY = timedelta(days=1)
#: Source of a block -> reason, in the order in which they are named; any other is an outside calendar.
_REASONS: dict[str, UncoveredReason] = {"leave": "leave", "absence": "leave", "manual": "blocked"}
_ORDER: tuple[UncoveredReason, ...] = ("leave", "outside_calendar", "blocked")


class Agreed(Protocol):
    """A session: when it is."""

    @property
    def id(self) -> UUID: ...
    @property
    def start(self) -> datetime: ...
    @property
    def end(self) -> datetime: ...


class Taken(Protocol):
    """Time that is not to be had, and where that is known from."""

    @property
    def start(self) -> datetime: ...
    @property
    def end(self) -> datetime: ...
    @property
    def source(self) -> str: ...


def uncovered(
    sessions: Iterable[Agreed], windows: Iterable[Window], blocks: Sequence[Taken], plan: Plan
) -> list[UncoveredSession]:
    """The sessions that lie outside the windows, in part or whole, or in a block; each with one reason."""
    hours = merged(windows)
    found = []
    for session in sessions:
        reason = _reason(session, hours, blocks, plan)
        if reason is not None:
            found.append(UncoveredSession(session_id=session.id, reason=reason))
    return found


def _reason(
    session: Agreed, hours: Sequence[Window], blocks: Sequence[Taken], plan: Plan
) -> UncoveredReason | None:
    sources = {one.source for one in blocks if one.start < session.end and session.start < one.end}
    reasons = {_REASONS.get(source, "outside_calendar") for source in sources}
    if reasons:
        return next(one for one in _ORDER if one in reasons)
    if any(one.start <= session.start and session.end <= one.end for one in hours):
        return None
    return "holiday" if any(plan.is_day_off(day) for day in _days(session, plan)) else "hours"


def _days(session: Agreed, plan: Plan) -> Iterator[date]:
    """The local days a session lies on."""
    first = session.start.astimezone(plan.zone).date()
    zone = plan.zone_on(first)
    day = session.start.astimezone(zone).date()
    while day <= (session.end - timedelta.resolution).astimezone(zone).date():
        yield day
        day += _DAY


@dataclass(frozen=True)
class Offer:
    """What decides which starts hours give: elapsed times, and the instants between which they lie."""

    duration: timedelta
    step: timedelta
    buffer_before: timedelta
    buffer_after: timedelta
    earliest: datetime
    latest: datetime


def starts(windows: Sequence[Window], away: Sequence[Window], offer: Offer) -> Iterator[Span]:
    """Every start that windows give and no leave takes, with its end, in order.

    Starts are at a window's start and every step after it, while the session ends within the hours.
    Buffers may reach out of the window, but not into leave.
    """
    whole = merged(windows)
    for window in sorted(windows):
        start = window.start + max(0, -((window.start - offer.earliest) // offer.step)) * offer.step
        while start < min(window.end, offer.latest):
            end = start + offer.duration
            fits = any(one.start <= start and end <= one.end for one in whole)
            busy = start - offer.buffer_before, end + offer.buffer_after
            if fits and not any(one.start < busy[1] and busy[0] < one.end for one in away):
                yield start, end
            start += offer.step
