"""The sessions that hours no longer cover, with the reason, and the starts that hours rules. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol
from uuid import UUID

from booking_tasks.contracts import UncoveredReason, UncoveredSession
from booking_tasks.hours.rules import Plan, Window, merged
from booking_tasks.kit.instants import Span

_DAY = timedelta(days=1)
#: The reason for each source of a block; every other source is an outside calendar.
_REASONS: dict[str, UncoveredReason] = {"leave": "leave", "absence": "leave", "manual": "blocked"}
#: Of several reasons the first of these is reported.
_ORDER: tuple[UncoveredReason, ...] = ("leave", "outside_calendar", "blocked")


class PlannedSession(Protocol):
    """A session with its start and end."""

    @property
    def id(self) -> UUID: ...
    @property
    def start(self) -> datetime: ...
    @property
    def end(self) -> datetime: ...


class BlockedTime(Protocol):
    """Blocked time, and the source of the block."""

    @property
    def start(self) -> datetime: ...
    @property
    def end(self) -> datetime: ...
    @property
    def source(self) -> str: ...


def find_uncovered(
    sessions: Iterable[PlannedSession], windows: Iterable[Window], blocks: Sequence[BlockedTime], plan: Plan
) -> list[UncoveredSession]:
    """Return the sessions that lie outside of the windows or in a block, each with one reason."""
    hours = merged(windows)
    found = []
    for session in sessions:
        reason = _reason(session, hours, blocks, plan)
        if reason is not None:
            found.append(UncoveredSession(session_id=session.id, reason=reason))
    return found


class OfferedSession(Protocol):
    """A session with its service type, and whether that is active."""

    @property
    def id(self) -> UUID: ...
    @property
    def service_type_id(self) -> UUID: ...
    @property
    def is_active(self) -> bool: ...


@dataclass(frozen=True)
class Offer:
    """What a consultant offers at all, whatever the hours. `service_type_ids`: None means all."""

    is_available: bool
    service_type_ids: Collection[UUID] | None


def find_not_offered(sessions: Iterable[OfferedSession], offer: Offer) -> list[UncoveredSession]:
    """Return the sessions that the consultant does not offer any more, each with one reason."""
    found = ((session, _reason_of_offer(session, offer)) for session in sessions)
    return [UncoveredSession(session_id=one.id, reason=reason) for one, reason in found if reason is not None]


def _reason_of_offer(session: OfferedSession, offer: Offer) -> UncoveredReason | None:
    if not offer.is_available:
        return "not_available_for_booking"
    if not session.is_active:
        return "service_type_inactive"
    is_offered = offer.service_type_ids is None or session.service_type_id in offer.service_type_ids
    return None if is_offered else "service_not_offered"


def _reason(
    session: PlannedSession, hours: Sequence[Window], blocks: Sequence[BlockedTime], plan: Plan
) -> UncoveredReason | None:
    sources = {one.source for one in blocks if one.start < session.end and session.start < one.end}
    reasons = {_REASONS.get(source, "outside_calendar") for source in sources}
    if reasons:
        return next(one for one in _ORDER if one in reasons)
    if any(one.start <= session.start and session.end <= one.end for one in hours):
        return None
    return "holiday" if any(plan.is_day_off(day) for day in _days(session, plan)) else "hours"


def _days(session: PlannedSession, plan: Plan) -> Iterator[date]:
    """The local days on which a session takes place."""
    first = session.start.astimezone(plan.zone).date()
    zone = plan.zone_on(first)
    day = session.start.astimezone(zone).date()
    while day <= (session.end - timedelta.resolution).astimezone(zone).date():
        yield day
        day += _DAY


@dataclass(frozen=True)
class StartRules:
    """The booking policy that decides which starts hours offer: elapsed times, first and last instant."""

    duration: timedelta
    step: timedelta
    buffer_before: timedelta
    buffer_after: timedelta
    earliest: datetime
    latest: datetime


def offered_starts(windows: Sequence[Window], away: Sequence[Window], rules: StartRules) -> Iterator[Span]:
    """Every start that the windows offer outside of leave, with its end, in order.

    Starts are at a window's origin and every step after it, as long as the session ends within the hours.
    Buffers may reach beyond the window, but not into leave.
    """
    whole = merged(windows)
    for window in sorted(windows):
        first = max(window.start, rules.earliest)
        start = window.origin + -((window.origin - first) // rules.step) * rules.step
        while start < min(window.end, rules.latest):
            end = start + rules.duration
            fits = any(one.start <= start and end <= one.end for one in whole)
            busy = start - rules.buffer_before, end + rules.buffer_after
            if fits and not any(one.start < busy[1] and busy[0] < one.end for one in away):
                yield start, end
            start += rules.step
