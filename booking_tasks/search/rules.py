"""Why a search is empty: each consultant counts once, by the reason that is closest to a booking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from booking_tasks.contracts import EmptyReason

#: The reason that blocks a start -> the reason of an empty search; the last is the closest to a booking.
REASONS: Mapping[str, EmptyReason] = {
    "hours": "no_hours",
    "horizon": "beyond_horizon",
    "notice": "notice_too_short",
    "taken": "all_taken",
    "limit": "limit_reached",
}
_BY_CLOSENESS: tuple[EmptyReason, ...] = ("no_skill", *REASONS.values())


def reasons(
    unskilled: int, skilled: Iterable[UUID], blocking_reasons: Mapping[UUID, Collection[str]]
) -> dict[EmptyReason, int]:
    """The number of consultants by reason. A consultant without any start has no hours."""
    counts: Counter[EmptyReason] = Counter({"no_skill": unskilled})
    for who in skilled:
        counts[closest_reason(REASONS[one] for one in blocking_reasons.get(who, ("hours",)))] += 1
    return {reason: counts[reason] for reason in _BY_CLOSENESS if counts[reason]}


def closest_reason(found: Iterable[EmptyReason]) -> EmptyReason:
    """The reason closest to a booking."""
    return max(found, key=_BY_CLOSENESS.index)
