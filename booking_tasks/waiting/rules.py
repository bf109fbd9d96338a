"""Which of those who wait is asked about which free start, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Wish:
    """A waiting request that one consultant could serve, as looked at for that consultant's free time.

    `busy` are the spans in which its requester is elsewhere; `asked` the starts they were offered before.
    """

    request_id: UUID
    service_type_id: UUID
    prefers_this_consultant: bool
    waiting_since: datetime
    earliest: datetime | None = None
    latest_end: datetime | None = None
    busy: tuple[Span, ...] = ()
    asked: frozenset[datetime] = frozenset()

    def fits(self, start: datetime, end: datetime) -> bool:
        """Whether a session of this span would suit, and was not offered before."""
        return (
            (self.earliest is None or self.earliest <= start)
            and (self.latest_end is None or end <= self.latest_end)
            and start not in self.asked
            and not any(begins < end and start < ends for begins, ends in self.busy)
        )


def best_first(wishes: Iterable[Wish]) -> list[Wish]:
    """Whose preferred consultant this is, then who has waited longest, then by id: never by chance."""
    return sorted(
        wishes, key=lambda one: (not one.prefers_this_consultant, one.waiting_since, one.request_id)
    )


def matches(
    wishes: Iterable[Wish], starts: Mapping[UUID, Sequence[Span]]
) -> Iterator[tuple[Wish, datetime, datetime]]:
    """Every wish with every free start of its kind that fits: the best wish first, each with its earliest."""
    for wish in best_first(wishes):
        for start, end in starts.get(wish.service_type_id, ()):
            if wish.fits(start, end):
                yield wish, start, end
