"""What a batch is, what a plan may be, and the greedy plan: each request in turn takes its best pair. Pure.

A batch is a set of *openings* (a start of one consultant, with its buffers) and of *pairs* (a request
that could be served there, with a score). A plan takes at most one pair of each request, so that no
consultant and no requester is in two places at once and no limit is passed. The best plan serves the
most requests and, among those that do, has the highest sum of scores.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

#: Scores lie in 0..SCORE_MOST. Whole numbers of this size are exact in the solver's floating point.
SCORE_MOST = 1_000_000
#: Without a pair.
NOT_SERVED = -1


def _none() -> array[int]:
    return array("q")


@dataclass(frozen=True)
class Batch:
    """What is to be matched. All columns are whole numbers; times in any one unit, spans half-open.

    `requesters` names each request's requester; requests are in the order of the queue. An opening is
    a session from `starts` to `ends` that keeps its consultant from `firsts` to `lasts`. Pairs are sorted
    by request; the order of one request's pairs is the rule between equals. Each use says how much of a
    budget (a limit of a consultant's day or week) an opening costs; `budgets` is what is left of each.
    """

    requesters: array[int]
    consultants: array[int]
    starts: array[int]
    ends: array[int]
    firsts: array[int]
    lasts: array[int]
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
    """How good a plan is: the number served first, then the sum of the scores."""

    served: int
    score: int

    @classmethod
    def of(cls, batch: Batch, plan: Plan) -> Objective:
        pairs = [pair for pair in plan if pair != NOT_SERVED]
        return cls(len(pairs), sum(batch.pair_scores[pair] for pair in pairs))


@dataclass(frozen=True)
class Answer:
    """A plan with its certificate. `bound`: no plan whatsoever is better than this.

    `proven`: the plan reaches the bound. `method`: what found it (`greedy`, `matching`, `rounds`,
    `search`). `timed_out`: the search was ended by its time, and this is the best it had.
    """

    plan: Plan
    objective: Objective
    bound: Objective
    method: str
    timed_out: bool = False

    @property
    def proven(self) -> bool:
        return self.objective == self.bound


class Diary:
    """What a growing plan has taken, and whether one more pair still fits."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._uses = batch.uses()
        self._left = list(batch.budgets)
        self._consultants: dict[int, list[tuple[int, int]]] = {}
        self._requesters: dict[int, list[tuple[int, int]]] = {}

    def fits(self, pair: int) -> bool:
        """Whether consultant and requester are free then and every budget has enough left."""
        batch, opening = self._batch, self._batch.pair_openings[pair]
        requester = batch.requesters[batch.pair_requests[pair]]
        return (
            _free(
                self._consultants.get(batch.consultants[opening]), batch.firsts[opening], batch.lasts[opening]
            )
            and _free(self._requesters.get(requester), batch.starts[opening], batch.ends[opening])
            and all(self._left[budget] >= amount for budget, amount in self._uses.get(opening, ()))
        )

    def take(self, pair: int) -> None:
        """Note a pair that fits."""
        batch, opening = self._batch, self._batch.pair_openings[pair]
        requester = batch.requesters[batch.pair_requests[pair]]
        _note(self._consultants, batch.consultants[opening], (batch.firsts[opening], batch.lasts[opening]))
        _note(self._requesters, requester, (batch.starts[opening], batch.ends[opening]))
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


def kept(batch: Batch, pairs: Iterable[int]) -> Plan:
    """Those of the pairs that go together, each taken in turn unless an earlier one is in its way."""
    plan, diary = [NOT_SERVED] * len(batch.requesters), Diary(batch)
    for pair in pairs:
        request = batch.pair_requests[pair]
        if plan[request] == NOT_SERVED and diary.fits(pair):
            diary.take(pair)
            plan[request] = pair
    return plan


def possible(batch: Batch, plan: Plan) -> bool:
    """Whether a plan keeps every rule."""
    return kept(batch, (pair for pair in plan if pair != NOT_SERVED)) == plan


def greedy(batch: Batch) -> Plan:
    """Each request in the order of the queue takes its best pair that is still to be had."""
    best_first = sorted(
        range(len(batch.pair_scores)), key=lambda pair: (batch.pair_requests[pair], -batch.pair_scores[pair])
    )
    return kept(batch, best_first)


def alone(batch: Batch) -> Objective:
    """What all requests would get if none were in another's way: a bound that needs no solver."""
    best: dict[int, int] = {}
    for request, score in zip(batch.pair_requests, batch.pair_scores, strict=True):
        best[request] = max(score, best.get(request, 0))
    return Objective(len(best), sum(best.values()))
