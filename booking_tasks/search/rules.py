"""Which starts suit a requester, and why a search is empty: each consultant counts once.

They count by the reason that is closest to a booking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from booking_tasks.contracts import EmptyReason
from booking_tasks.kit.instants import Span

#: The reason that blocks a start -> the reason of an empty search; the last is the closest to a booking.
REASONS: Mapping[str, EmptyReason] = {
    "hours": "no_hours",
    "horizon": "beyond_horizon",
    "notice": "notice_too_short",
    "taken": "all_taken",
    "limit": "limit_reached",
    "requester": "requester_busy",
}
_BY_CLOSENESS: tuple[EmptyReason, ...] = ("not_for_company", "no_skill", "at_capacity", *REASONS.values())


@dataclass(frozen=True)
class Requester:
    """Who searches, and when they are occupied."""

    user_id: UUID
    occupied: Sequence[Span]

    def is_free(self, start: datetime, end: datetime) -> bool:
        """Whether they are nowhere else in this span."""
        return all(end <= begins or ends <= start for begins, ends in self.occupied)


def reasons(
    ineligible: Mapping[UUID, EmptyReason],
    eligible: Iterable[UUID],
    blocking_reasons: Mapping[UUID, Collection[str]],
) -> dict[EmptyReason, int]:
    """The number of consultants by reason. An eligible consultant without any start has no hours."""
    counts: Counter[EmptyReason] = Counter(ineligible.values())
    for who in eligible:
        counts[closest_reason(REASONS[one] for one in blocking_reasons.get(who, ("hours",)))] += 1
    return {reason: counts[reason] for reason in _BY_CLOSENESS if counts[reason]}


def closest_reason(found: Iterable[EmptyReason]) -> EmptyReason:
    """The reason closest to a booking."""
    return max(found, key=_BY_CLOSENESS.index)
