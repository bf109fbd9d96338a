"""Which of those who wait is asked about which free start, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from booking_tasks.assignment.rules import Terms, total_score
from booking_tasks.context import Weights
from booking_tasks.enums import Term
from booking_tasks.kit.instants import Span


@dataclass(frozen=True)
class Wish:
    """A waiting request that one consultant could serve, as looked at for that consultant's free time.

    `terms` are what speaks for giving this consultant's time to it, whatever the start. `busy` are the
    spans in which its requester is elsewhere; `asked` the starts they were offered before.
    """

    request_id: UUID
    service_type_id: UUID
    waiting_since: datetime
    terms: Terms
    weights: Weights
    earliest: datetime | None = None
    latest_end: datetime | None = None
    busy: tuple[Span, ...] = ()
    asked: frozenset[datetime] = frozenset()

    @property
    def score(self) -> float:
        """The weighted terms, as the assignment counts them."""
        return total_score(self.terms, self.weights)

    def fits(self, start: datetime, end: datetime) -> bool:
        """Whether a session of this span would suit, and was not offered before."""
        return (
            (self.earliest is None or self.earliest <= start)
            and (self.latest_end is None or end <= self.latest_end)
            and start not in self.asked
            and not any(begins < end and start < ends for begins, ends in self.busy)
        )


def terms_of(*, preferred: bool, known: float, closeness: float) -> dict[Term, float]:
    """The score's terms that tell waiting requests apart. Those of the consultant are the same for all.

    Where in somebody's window a start lies, and at which local hour, does not count: who left more room
    would lose their place in the queue by it.
    """
    return {Term.PREFERENCE: float(preferred), Term.CONTINUITY: known, Term.SPECIALIZATION: closeness}


def best_first(wishes: Iterable[Wish]) -> list[Wish]:
    """The highest score; ties to who has waited longest, then by id: never by chance."""
    return sorted(wishes, key=lambda one: (-one.score, one.waiting_since, one.request_id))


def matches(
    wishes: Iterable[Wish], starts: Mapping[UUID, Sequence[Span]]
) -> Iterator[tuple[Wish, datetime, datetime]]:
    """Every wish with every free start of its kind that fits: the best wish first, each with its earliest."""
    for wish in best_first(wishes):
        for start, end in starts.get(wish.service_type_id, ()):
            if wish.fits(start, end):
                yield wish, start, end
