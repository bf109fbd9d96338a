"""Which waiting request is offered which free start, and in which order. Pure."""

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
class WaitingRequest:
    """A waiting request that one consultant could serve, evaluated for the free time of that consultant.

    `terms` are the terms of its score, which do not depend on the start. `busy` are the spans in which its
    requester has another reservation; `offered` the starts that they were offered before.
    """

    request_id: UUID
    service_type_id: UUID
    waiting_since: datetime
    terms: Terms
    weights: Weights
    earliest: datetime | None = None
    latest_end: datetime | None = None
    busy: tuple[Span, ...] = ()
    offered: frozenset[datetime] = frozenset()

    @property
    def score(self) -> float:
        """The weighted terms, as the assignment counts them."""
        return total_score(self.terms, self.weights)

    def fits(self, start: datetime, end: datetime) -> bool:
        """Whether a session of this span would suit, and was not offered before."""
        return (
            (self.earliest is None or self.earliest <= start)
            and (self.latest_end is None or end <= self.latest_end)
            and start not in self.offered
            and not any(begins < end and start < ends for begins, ends in self.busy)
        )


def waiting_terms(*, preferred: bool, familiarity: float, closeness: float) -> dict[Term, float]:
    """The terms of the score that differ between waiting requests; the others are equal for all of them.

    Where in somebody's window a start lies, and at which local hour, does not count: who left more room
    would lose their place in the queue by it.
    """
    return {Term.PREFERENCE: float(preferred), Term.CONTINUITY: familiarity, Term.SPECIALIZATION: closeness}


def best_first(all_waiting: Iterable[WaitingRequest]) -> list[WaitingRequest]:
    """By the highest score; ties to the longest wait, then by id."""
    return sorted(all_waiting, key=lambda one: (-one.score, one.waiting_since, one.request_id))


def matching_starts(
    all_waiting: Iterable[WaitingRequest], starts: Mapping[UUID, Sequence[Span]]
) -> Iterator[tuple[WaitingRequest, datetime, datetime]]:
    """Each waiting request with each free start of its service type that fits it.

    The best request comes first, each with its earliest start first.
    """
    for waiting in best_first(all_waiting):
        for start, end in starts.get(waiting.service_type_id, ()):
            if waiting.fits(start, end):
                yield waiting, start, end
