"""Why nothing was found: each consultant counted once, by the furthest that one of their starts came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from booking_tasks.contracts import EmptyReason

#: What stood in a start's way -> what the asker is told; the last is the closest to a booking.
REASONS: Mapping[str, EmptyReason] = {
    "hours": "no_hours",
    "horizon": "beyond_horizon",
    "notice": "notice_too_short",
    "taken": "all_taken",
    "limit": "limit_reached",
}
_FURTHEST: tuple[EmptyReason, ...] = ("no_skill", *REASONS.values())


def reasons(
    unskilled: int, skilled: Iterable[UUID], obstacles: Mapping[UUID, Collection[str]]
) -> dict[EmptyReason, int]:
    """How many consultants each reason holds for. A consultant without any start has no hours."""
    counts: Counter[EmptyReason] = Counter({"no_skill": unskilled})
    for who in skilled:
        counts[furthest(REASONS[one] for one in obstacles.get(who, ("hours",)))] += 1
    return {reason: counts[reason] for reason in _FURTHEST if counts[reason]}


def furthest(found: Iterable[EmptyReason]) -> EmptyReason:
    """The reason closest to a booking."""
    return max(found, key=_FURTHEST.index)
