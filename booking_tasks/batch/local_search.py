"""Searches for a better plan: an integer programme for each group of competing requests. Needs scipy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from booking_tasks.batch.plan import NOT_SERVED, Batch, Objective, Plan, Solution, is_feasible
from booking_tasks.batch.rounds import Relaxation

#: Groups with more pairs are not searched: the preparation alone would take longer than the time allows.
PAIRS_MOST = 60_000
_CLOSE = 1e-6


def improve_plan(
    batch: Batch, relaxation: Relaxation, solution: Solution, until: float, now: Callable[[], float]
) -> Solution:
    """Improve the plan of every group until it is the best one, or until the time is over.

    Groups have nothing in common, so both the plan and the bound are sums over them. Small groups come first.
    """
    plan, total, timed_out = list(solution.plan), Objective(0, 0), False
    for requests, pairs in groups(batch):
        own = _part(batch, plan, requests)
        bound = _part(batch, relaxation.plan, requests)
        if own != bound:
            search = _Search(batch, pairs, own, bound)
            timed_out |= not search.run(until, now)
            trial = list(plan)
            for request in requests:
                trial[request] = search.plan.get(request, NOT_SERVED)
            if search.plan and is_feasible(batch, trial):
                plan = trial
            bound = search.bound
        total = Objective(total.served + bound.served, total.score + bound.score)
    found = Objective.of(batch, plan)
    method = "search" if found > solution.objective else solution.method
    return replace(solution, plan=plan, objective=found, bound=total, method=method, timed_out=timed_out)


def _part(batch: Batch, plan: Plan, requests: list[int]) -> Objective:
    return Objective.of(batch, [plan[request] for request in requests])


def groups(batch: Batch) -> list[tuple[list[int], list[int]]]:
    """(requests, pairs) of each group that shares no time, person or budget with another."""
    runs = _runs(batch)
    count, width = len(batch.requesters), max(runs, default=-1) + 1
    people = {requester: place for place, requester in enumerate(sorted(set(batch.requesters)))}
    tails: list[int] = []
    heads: list[int] = []
    for request, opening in zip(batch.pair_requests, batch.pair_openings, strict=True):
        tails.append(request)
        heads.append(count + runs[opening])
    for request, requester in enumerate(batch.requesters):
        tails.append(request)
        heads.append(count + width + people[requester])
    for opening, consultant in enumerate(batch.consultants):
        if consultant in people:
            tails.append(count + runs[opening])
            heads.append(count + width + people[consultant])
    for opening, budget in zip(batch.use_openings, batch.use_budgets, strict=True):
        tails.append(count + runs[opening])
        heads.append(count + width + len(people) + budget)
    size = count + width + len(people) + len(batch.budgets)
    links = csr_array((np.ones(len(tails), dtype=np.int8), (tails, heads)), shape=(size, size))
    labels = connected_components(links, directed=False)[1].tolist()
    found: dict[int, tuple[list[int], list[int]]] = {}
    for request in range(count):
        found.setdefault(labels[request], ([], []))[0].append(request)
    for pair, request in enumerate(batch.pair_requests):
        found[labels[request]][1].append(pair)
    return sorted(found.values(), key=lambda one: (len(one[1]), one[0]))


def _runs(batch: Batch) -> list[int]:
    """The run of overlapping openings that each opening is part of."""
    order = sorted(
        range(len(batch.starts)), key=lambda one: (batch.consultants[one], batch.occupied_from[one])
    )
    runs = [0] * len(order)
    run, consultant_places, until = -1, -1, 0
    for opening in order:
        if batch.consultants[opening] != consultant_places or batch.occupied_from[opening] >= until:
            run, consultant_places, until = run + 1, batch.consultants[opening], batch.occupied_until[opening]
        until = max(until, batch.occupied_until[opening])
        runs[opening] = run
    return runs


def cliques(spans: Iterable[tuple[int, int, int]]) -> list[list[int]]:
    """The largest sets of (start, end, name) that all cover one moment; only sets of two or more."""
    found: list[list[int]] = []
    here: list[tuple[int, int]] = []
    grown = False
    for start, end, name in sorted(spans):
        staying = [one for one in here if one[0] > start]
        if grown and len(staying) < len(here) and len(here) > 1:
            found.append([one[1] for one in here])
        here, grown = [*staying, (end, name)], True
    if len(here) > 1:
        found.append([one[1] for one in here])
    return found


class _PersonSpan(NamedTuple):
    """Time that one person spends in any of the pairs at `places`."""

    start: int
    end: int
    places: list[int]


class _Search:
    """One group as an integer programme: a variable for each pair, a row for each rule."""

    def __init__(self, batch: Batch, pairs: list[int], own: Objective, bound: Objective) -> None:
        self._batch, self._pairs = batch, pairs
        self.own, self.bound = own, bound
        self.plan: dict[int, int] = {}

    def run(self, until: float, now: Callable[[], float]) -> bool:
        """Maximise first the number served, then the score; False when the time or the size forbids it."""
        if len(self._pairs) > PAIRS_MOST or now() >= until:
            return False
        self._scores = np.array([self._batch.pair_scores[pair] for pair in self._pairs], dtype=float)
        self._rules = self._rows()
        parts = [self._for_number] if self.own.served < self.bound.served else []
        for maximise in (*parts, self._for_score):
            seconds = until - now()
            if seconds <= 0 or not maximise(seconds):  # the solver ignores a limit below zero
                return False
        return True

    def _for_number(self, seconds: float) -> bool:
        found = self._maximum(np.ones(len(self._pairs)), [], seconds)
        if found.status != 0:
            served = _whole(found.mip_dual_bound)
            if served is not None and served < self.bound.served:
                self.bound = Objective(max(served, self.own.served), self._alone())
            self._keep(found)
            return False
        self._keep(found)
        self.bound = Objective(self.own.served, self._alone())
        return True

    def _for_score(self, seconds: float) -> bool:
        everyone = csr_array(np.ones((1, len(self._pairs))))
        enough = LinearConstraint(everyone, self.own.served, self.own.served)
        found = self._maximum(self._scores, [enough], seconds)
        self._keep(found)
        if found.status == 0:
            self.bound = self.own
            return True
        score = _whole(found.mip_dual_bound)
        if score is not None and score < self.bound.score:
            self.bound = Objective(self.bound.served, max(score, self.own.score))
        return False

    def _alone(self) -> int:
        """The scores that as many could have who are not in each other's way."""
        best: dict[int, int] = {}
        for pair in self._pairs:
            request = self._batch.pair_requests[pair]
            best[request] = max(best.get(request, 0), self._batch.pair_scores[pair])
        return sum(sorted(best.values(), reverse=True)[: self.own.served])

    def _maximum(self, worth: Any, more: list[LinearConstraint], seconds: float) -> Any:
        return milp(
            -worth,
            integrality=np.ones(len(worth)),
            bounds=Bounds(0, 1),
            constraints=[self._rules, *more],
            options={"time_limit": seconds, "mip_rel_gap": 0.0},
        )

    def _keep(self, found: Any) -> None:
        if found.x is None:
            return
        chosen = [pair for pair, amount in zip(self._pairs, found.x, strict=True) if amount > 0.5]
        objective = Objective.of(self._batch, chosen)
        if objective > self.own:
            self.own = objective
            self.plan = {self._batch.pair_requests[pair]: pair for pair in chosen}

    def _rows(self) -> LinearConstraint:
        """Each request once, nobody in two places, no budget passed."""
        batch, pairs = self._batch, self._pairs
        at: dict[int, list[int]] = {}
        by_request: dict[int, list[int]] = {}
        for place, pair in enumerate(pairs):
            at.setdefault(batch.pair_openings[pair], []).append(place)
            by_request.setdefault(batch.pair_requests[pair], []).append(place)
        rows = [_row(members) for members in by_request.values()]
        for spans in self._spans_by_person(at, by_request).values():
            sets = cliques((start, end, number) for number, (start, end, _) in enumerate(spans))
            crowded = {one for members in sets for one in members}
            sets += [[one] for one, span in enumerate(spans) if one not in crowded and len(span.places) > 1]
            rows += [_row([place for one in members for place in spans[one].places]) for members in sets]
        return _constraint([*rows, *self._budget_rows(at)], len(pairs))

    def _spans_by_person(
        self, at: dict[int, list[int]], by_request: dict[int, list[int]]
    ) -> dict[int, list[_PersonSpan]]:
        """The time of each person in either role. A requester with one request and no other role has none."""
        batch = self._batch
        found: dict[int, list[_PersonSpan]] = {}
        for opening, places in at.items():
            span = _PersonSpan(batch.occupied_from[opening], batch.occupied_until[opening], places)
            found.setdefault(batch.consultants[opening], []).append(span)
        requests_of = Counter(batch.requesters[request] for request in by_request)
        both = found.keys() & requests_of.keys()
        for request, places in by_request.items():
            who = batch.requesters[request]
            if who in both or requests_of[who] > 1:
                for place in places:
                    opening = batch.pair_openings[self._pairs[place]]
                    span = _PersonSpan(batch.starts[opening], batch.ends[opening], [place])
                    found.setdefault(who, []).append(span)
        return found

    def _budget_rows(self, at: dict[int, list[int]]) -> list[tuple[list[int], list[int], int]]:
        found: dict[int, tuple[list[int], list[int], int]] = {}
        for opening, uses in self._batch.uses().items():
            for budget, amount in uses:
                members, amounts, _ = found.setdefault(budget, ([], [], self._batch.budgets[budget]))
                members += at.get(opening, [])
                amounts += [amount] * len(at.get(opening, []))
        return [one for one in found.values() if one[0]]


def _row(members: list[int]) -> tuple[list[int], list[int], int]:
    return members, [1] * len(members), 1


def _constraint(rows: list[tuple[list[int], list[int], int]], width: int) -> LinearConstraint:
    places = [place for members, _, _ in rows for place in members]
    numbers = [number for number, row in enumerate(rows) for _ in row[0]]
    amounts = [amount for _, each, _ in rows for amount in each]
    matrix = coo_array((amounts, (numbers, places)), shape=(len(rows), width)).tocsr()
    return LinearConstraint(matrix, -np.inf, [most for _, _, most in rows])


def _whole(dual_bound: float | None) -> int | None:
    """The upper bound that a programme has proved that minimises the negative."""
    if dual_bound is None or not np.isfinite(dual_bound):
        return None
    return int(np.floor(-dual_bound + _CLOSE))
