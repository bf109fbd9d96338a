"""Sparse matchings over a batch: the bound of every plan, and the extension of a plan. Needs scipy."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from booking_tasks.batch.plan import (
    NOT_SERVED,
    SCORE_MOST,
    Batch,
    Objective,
    Occupancy,
    Plan,
    is_feasible,
)

Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Relaxation:
    """The best matching of requests to cells; where it `is_feasible`, it is a plan, and so the best one."""

    plan: Plan
    bound: Objective
    is_feasible: bool


def relaxation(batch: Batch) -> Relaxation:
    """Match requests to cells; this excludes conflicts inside one cell, but no others."""
    solver, collides = cell_matrix(batch)
    plan = solve_matching(solver).tolist()
    bound = Objective.of(batch, plan)
    # Without overlaps, limits and repeated people no conflict is possible.
    free = not collides and not len(batch.budgets) and _has_no_repeated_requester(batch)
    return Relaxation(plan, bound, free or is_feasible(batch, plan))


@dataclass(frozen=True)
class SolverMatrix:
    """A cost matrix: the `pairs` of the batch (None: all of them) are at `rows` and `columns`."""

    matrix: Any
    rows: Numbers
    columns: Numbers
    pairs: Numbers | None


def cell_matrix(batch: Batch) -> tuple[SolverMatrix, bool]:
    """The matrix of requests and cells, and whether any two openings of one consultant overlap."""
    cells, collides = cells_of(batch)
    requests, scores = _column(batch.pair_requests), _column(batch.pair_scores)
    columns = cells[_column(batch.pair_openings)]
    edges = _best_of_each(requests, columns, scores) if collides else None
    return solver_matrix(len(batch.requesters), requests, columns, scores, edges), collides


def cells_of(batch: Batch) -> tuple[Numbers, bool]:
    """The cell of each opening, and whether any two openings of one consultant overlap.

    The cells are the fewest moments that touch every opening, taken by the earliest end (for intervals that
    is as many as there can be openings without overlap). All openings in a cell cover its moment.
    """
    consultants, occupied_from, occupied_until = (
        _column(one) for one in (batch.consultants, batch.occupied_from, batch.occupied_until)
    )
    order = np.lexsort((occupied_from, occupied_until, consultants))
    same = consultants[order][1:] == consultants[order][:-1]
    if not np.any(same & (occupied_from[order][1:] < occupied_until[order][:-1])):
        return np.arange(len(order), dtype=np.int64), False
    cells = np.empty(len(order), dtype=np.int64)
    cell, consultant_places, moment = -1, -1, 0
    rows = zip(
        order.tolist(),
        consultants[order].tolist(),
        occupied_from[order].tolist(),
        occupied_until[order].tolist(),
        strict=True,
    )
    for opening, consultant, first, last in rows:
        if consultant != consultant_places or first >= moment:
            cell, consultant_places, moment = cell + 1, consultant, last
        cells[opening] = cell
    return cells, True


def solver_matrix(
    count: int, requests: Numbers, columns: Numbers, scores: Numbers, edges: Numbers | None = None
) -> SolverMatrix:
    """The cost matrix of requests and columns, for a solver that matches every row at the least cost.

    `edges` are the pairs to use (None: all), sorted by request, at most one for each request and column.
    Each request has a column of its own that means `not served`; it costs more than all real ones together.
    """
    rows, used, worth = requests, columns, scores
    if edges is not None:
        rows, used, worth = requests[edges], columns[edges], scores[edges]
    width = int(used.max()) + 1 if len(used) else 0
    ends = np.cumsum(np.bincount(rows, minlength=count) + 1)
    cost = np.empty(len(rows) + count)
    heads = np.empty(len(rows) + count, dtype=np.int32)
    places = np.arange(len(rows)) + rows
    cost[places], heads[places] = SCORE_MOST + 1 - worth, used
    cost[ends - 1], heads[ends - 1] = float((count + 1) * (SCORE_MOST + 1)), width + np.arange(count)
    begins = np.concatenate(([0], ends)).astype(np.int32)
    matrix = csr_array((cost, heads, begins), shape=(count, width + count))
    return SolverMatrix(matrix, rows, used, edges)


def solve_matching(solver: SolverMatrix) -> Numbers:
    """The pair of each request in the matching with the most served, then the highest scores."""
    _, found = min_weight_full_bipartite_matching(solver.matrix)
    plan = np.full(solver.matrix.shape[0], NOT_SERVED, dtype=np.int64)
    taken = np.flatnonzero(solver.columns == np.asarray(found)[solver.rows])
    plan[solver.rows[taken]] = taken if solver.pairs is None else solver.pairs[taken]
    return plan


def extend_plan(batch: Batch, beginning: Plan | None, more: Callable[[], bool]) -> Plan:
    """Serve the requests that a plan leaves: match over disjoint openings, until nothing more fits."""
    plan = list(beginning) if beginning is not None else [NOT_SERVED] * len(batch.requesters)
    occupancy = Occupancy(batch)
    for pair in plan:
        if pair != NOT_SERVED:
            occupancy.take(pair)
    while more():
        left = [
            pair
            for pair, request in enumerate(batch.pair_requests)
            if plan[request] == NOT_SERVED and occupancy.fits(pair)
        ]
        if not left:
            break
        for pair in _best_first(batch, _round(batch, left)):
            if occupancy.fits(pair):
                occupancy.take(pair)
                plan[batch.pair_requests[pair]] = pair
    return plan


def _round(batch: Batch, left: list[int]) -> list[int]:
    """The pairs of one matching over openings of `left` that do not overlap."""
    requests, openings = _column(batch.pair_requests), _column(batch.pair_openings)
    pairs = np.asarray(left, dtype=np.int64)
    # An opening counts more for requests that have few others.
    choices = np.bincount(requests[pairs], minlength=len(batch.requesters))
    worth = np.bincount(
        openings[pairs], weights=SCORE_MOST // choices[requests[pairs]], minlength=len(batch.starts)
    )
    usable = np.zeros(len(batch.starts), dtype=bool)
    usable[
        _disjoint_openings(batch, [(one, int(worth[one])) for one in np.unique(openings[pairs]).tolist()])
    ] = True
    edges = pairs[usable[openings[pairs]]]
    scores = _column(batch.pair_scores)
    found = solve_matching(solver_matrix(len(batch.requesters), requests, openings, scores, edges))
    return [pair for pair in found.tolist() if pair != NOT_SERVED]


def _disjoint_openings(batch: Batch, worth: list[tuple[int, int]]) -> list[int]:
    """For each consultant, the openings that do not overlap and have the highest value together."""
    by_consultant: dict[int, list[tuple[int, int, int, int]]] = {}
    for opening, value in worth:
        row = (batch.occupied_until[opening], batch.occupied_from[opening], opening, value)
        by_consultant.setdefault(batch.consultants[opening], []).append(row)
    chosen = []
    for rows in by_consultant.values():
        rows.sort()
        ends = [row[0] for row in rows]
        before = [bisect_right(ends, row[1], 0, place) for place, row in enumerate(rows)]
        best = [0]
        for place, row in enumerate(rows):
            best.append(max(best[place], best[before[place]] + row[3]))
        place = len(rows)
        while place:
            if best[place] == best[place - 1]:
                place -= 1
            else:
                chosen.append(rows[place - 1][2])
                place = before[place - 1]
    return chosen


def _best_of_each(requests: Numbers, columns: Numbers, scores: Numbers) -> Numbers:
    """The pairs with the highest score for each request and column, sorted by these."""
    keys = requests * (int(columns.max(initial=0)) + 1) + columns
    order = np.lexsort((-scores, keys))  # stable: the first of equals
    first = np.ones(len(order), dtype=bool)
    first[1:] = keys[order][1:] != keys[order][:-1]
    return order[first]


def _best_first(batch: Batch, pairs: list[int]) -> list[int]:
    return sorted(pairs, key=lambda pair: (-batch.pair_scores[pair], pair))


def _has_no_repeated_requester(batch: Batch) -> bool:
    """Whether each requester has one request and is no consultant of the batch."""
    requesters = set(batch.requesters)
    return len(requesters) == len(batch.requesters) and requesters.isdisjoint(batch.consultants)


def _column(numbers: object) -> Numbers:
    return np.frombuffer(numbers, dtype=np.int64) if len(numbers) else np.empty(0, dtype=np.int64)  # type: ignore[call-overload, arg-type]
