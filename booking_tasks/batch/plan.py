"""The batch as the solver sees it, the plan and its certificate, and the greedy plan. Pure.

A batch is a set of *openings* (a start of one consultant, with its buffers) and of *pairs* (a request
that could be served there, with a score). A plan takes at most one pair of each request, so that no
consultant and no requester is in two places at once and no limit is exceeded. The best plan serves the
most requests and, among the plans that serve as many, has the highest sum of scores. In the greedy plan each
request in turn takes its best pair.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

#: Scores lie in 0..SCORE_MOST. Whole numbers of this size are exact in the solver's floating point.
SCORE_MOST = 1_000_000
#: In a plan: the request has no pair.
NOT_SERVED = -1


def _none() -> array[int]:
    return array("q")


@dataclass(frozen=True)
class Batch:
    """The columns of a matching problem, all whole numbers; times have one unit, spans are half-open.

    `requesters` has the requester of each request, in the order of the queue, and `consultants` the
    consultant of each opening; a person who is both has one number. An opening is a session from `starts` to
    `ends` that occupies its consultant from `occupied_from` to `occupied_until`.
    Pairs are sorted by request; among pairs with equal scores the first one of a request wins.
    Each use says how much of a budget (a limit of a consultant's day or week) an opening costs;
    `budgets` is what is left of each.
    """

    requesters: array[int]
    consultants: array[int]
    starts: array[int]
    ends: array[int]
    occupied_from: array[int]
    occupied_until: array[int]
    pair_requests: array[int]
    pair_openings: array[int]
    pair_scores: array[int]
    use_openings: array[int] = field(default_factory=_none)
    use_budgets: array[int] = field(default_factory=_none)
    use_amounts: array[int] = field(default_factory=_none)
    budgets: array[int] = field(default_factory=_none)

    def uses(self) -> dict[int, list[tuple[int, int]]]:
        """(budget, amount) of each opening that has any."""
        found: dict[int, list[tuple[int, int]]] = {}
        for opening, budget, amount in zip(
            self.use_openings, self.use_budgets, self.use_amounts, strict=True
        ):
            found.setdefault(opening, []).append((budget, amount))
        return found


Plan = list[int]
"""The pair of each request, or `NOT_SERVED`."""


@dataclass(frozen=True, order=True)
class Objective:
    """How good a plan is: first the number of served requests, then the sum of the scores."""

    served: int
    score: int

    @classmethod
    def of(cls, batch: Batch, plan: Plan) -> Objective:
        pairs = [pair for pair in plan if pair != NOT_SERVED]
        return cls(len(pairs), sum(batch.pair_scores[pair] for pair in pairs))


@dataclass(frozen=True)
class Solution:
    """A plan with its certificate: no plan is better than `bound`.

    `is_optimal`: the plan reaches the bound. `method` found it. `timed_out`: the time of the search was over,
    and this is the best plan that it had.
    """

    plan: Plan
    objective: Objective
    bound: Objective
    method: str
    timed_out: bool = False

    @property
    def is_optimal(self) -> bool:
        return self.objective == self.bound


class Occupancy:
    """The times and budgets that a growing plan uses, and whether one more pair still fits."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._uses = batch.uses()
        self._left = list(batch.budgets)
        self._people: dict[int, list[tuple[int, int]]] = {}

    def fits(self, pair: int) -> bool:
        """Whether consultant and requester are free and every budget has enough left."""
        batch, opening = self._batch, self._batch.pair_openings[pair]
        requester = batch.requesters[batch.pair_requests[pair]]
        consultant = batch.consultants[opening]
        return (
            requester != consultant
            and _free(
                self._people.get(consultant), batch.occupied_from[opening], batch.occupied_until[opening]
            )
            and _free(self._people.get(requester), batch.starts[opening], batch.ends[opening])
            and all(self._left[budget] >= amount for budget, amount in self._uses.get(opening, ()))
        )

    def take(self, pair: int) -> None:
        """Add a pair that fits."""
        batch, opening = self._batch, self._batch.pair_openings[pair]
        requester = batch.requesters[batch.pair_requests[pair]]
        occupied = (batch.occupied_from[opening], batch.occupied_until[opening])
        _note(self._people, batch.consultants[opening], occupied)
        _note(self._people, requester, (batch.starts[opening], batch.ends[opening]))
        for budget, amount in self._uses.get(opening, ()):
            self._left[budget] -= amount


def _free(taken: list[tuple[int, int]] | None, start: int, end: int) -> bool:
    if not taken:
        return True
    place = bisect_left(taken, (end,))
    return place == 0 or taken[place - 1][1] <= start


def _note(spans: dict[int, list[tuple[int, int]]], who: int, span: tuple[int, int]) -> None:
    taken = spans.setdefault(who, [])
    taken.insert(bisect_left(taken, span), span)


def compatible_plan(batch: Batch, pairs: Iterable[int]) -> Plan:
    """The plan of compatible pairs: each is taken in turn unless it conflicts with an earlier one."""
    plan, occupancy = [NOT_SERVED] * len(batch.requesters), Occupancy(batch)
    for pair in pairs:
        request = batch.pair_requests[pair]
        if plan[request] == NOT_SERVED and occupancy.fits(pair):
            occupancy.take(pair)
            plan[request] = pair
    return plan


def is_feasible(batch: Batch, plan: Plan) -> bool:
    """Whether a plan breaks no rule."""
    return compatible_plan(batch, (pair for pair in plan if pair != NOT_SERVED)) == plan


def greedy_plan(batch: Batch) -> Plan:
    """Each request, in the order of the queue, takes its best pair that is still possible."""
    best_first = sorted(
        range(len(batch.pair_scores)), key=lambda pair: (batch.pair_requests[pair], -batch.pair_scores[pair])
    )
    return compatible_plan(batch, best_first)


def independent_bound(batch: Batch) -> Objective:
    """The objective if no request competed with another: a bound that needs no solver."""
    best: dict[int, int] = {}
    for request, score in zip(batch.pair_requests, batch.pair_scores, strict=True):
        best[request] = max(score, best.get(request, 0))
    return Objective(len(best), sum(best.values()))
