"""Sparse matchings over a batch: the bound of every plan, and plans that serve what is left. Needs scipy."""

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
    Diary,
    Objective,
    Plan,
    possible,
)

Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Relaxed:
    """The best matching of requests to cells. `possible`: it is a plan as it stands, so the best one."""

    plan: Plan
    bound: Objective
    possible: bool


def relaxed(batch: Batch) -> Relaxed:
    """Match requests to cells: whatever collides inside one cell is kept apart, the rest is not."""
    ready, collides = ready_cells(batch)
    plan = matched(ready).tolist()
    bound = Objective.of(batch, plan)
    # Without overlaps, twice the same requester and limits, nothing is left that could be in the way.
    free = not collides and not len(batch.budgets) and _all_different(batch)
    return Relaxed(plan, bound, free or possible(batch, plan))


@dataclass(frozen=True)
class Ready:
    """A matrix for the solver: `pairs` of the batch (all, if None) stand at `rows` and `columns`."""

    matrix: Any
    rows: Numbers
    columns: Numbers
    pairs: Numbers | None


def ready_cells(batch: Batch) -> tuple[Ready, bool]:
    """The matrix of requests and cells, and whether any two openings of one consultant overlap."""
    cells, collides = cells_of(batch)
    requests, scores = _column(batch.pair_requests), _column(batch.pair_scores)
    columns = cells[_column(batch.pair_openings)]
    edges = _best_of_each(requests, columns, scores) if collides else None
    return ready_matrix(len(batch.requesters), requests, columns, scores, edges), collides


def cells_of(batch: Batch) -> tuple[Numbers, bool]:
    """The cell of each opening, and whether any two openings of one consultant overlap.

    The fewest moments that touch every opening, by the earliest end first (for intervals that is as many
    as openings can be had side by side). All openings in a cell cover its moment.
    """
    consultants, firsts, lasts = (_column(one) for one in (batch.consultants, batch.firsts, batch.lasts))
    order = np.lexsort((firsts, lasts, consultants))
    same = consultants[order][1:] == consultants[order][:-1]
    if not np.any(same & (firsts[order][1:] < lasts[order][:-1])):
        return np.arange(len(order), dtype=np.int64), False
    cells = np.empty(len(order), dtype=np.int64)
    cell, whose, moment = -1, -1, 0
    rows = zip(
        order.tolist(),
        consultants[order].tolist(),
        firsts[order].tolist(),
        lasts[order].tolist(),
        strict=True,
    )
    for opening, consultant, first, last in rows:
        if consultant != whose or first >= moment:
            cell, whose, moment = cell + 1, consultant, last
        cells[opening] = cell
    return cells, True


def ready_matrix(
    count: int, requests: Numbers, columns: Numbers, scores: Numbers, edges: Numbers | None = None
) -> Ready:
    """Costs of requests and columns, for the solver that matches every row at the least cost.

    `edges` are the pairs to use, sorted by request and at most one for each request and column; all, if
    None. Each request has a column of its own that means `not served`, dearer than all real ones together.
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
    return Ready(matrix, rows, used, edges)


def matched(ready: Ready) -> Numbers:
    """The pair of each request in the matching with the most served, then the highest scores."""
    _, found = min_weight_full_bipartite_matching(ready.matrix)
    plan = np.full(ready.matrix.shape[0], NOT_SERVED, dtype=np.int64)
    taken = np.flatnonzero(ready.columns == np.asarray(found)[ready.rows])
    plan[ready.rows[taken]] = taken if ready.pairs is None else ready.pairs[taken]
    return plan


def extended(batch: Batch, beginning: Plan | None, more: Callable[[], bool]) -> Plan:
    """Serve what a plan leaves: match over openings that do not overlap, until nothing more fits."""
    plan = list(beginning) if beginning is not None else [NOT_SERVED] * len(batch.requesters)
    diary = Diary(batch)
    for pair in plan:
        if pair != NOT_SERVED:
            diary.take(pair)
    while more():
        left = [
            pair
            for pair, request in enumerate(batch.pair_requests)
            if plan[request] == NOT_SERVED and diary.fits(pair)
        ]
        if not left:
            break
        for pair in _best_first(batch, _round(batch, left)):
            if diary.fits(pair):
                diary.take(pair)
                plan[batch.pair_requests[pair]] = pair
    return plan


def _round(batch: Batch, left: list[int]) -> list[int]:
    """The pairs of one matching over openings of `left` that do not overlap."""
    requests, openings = _column(batch.pair_requests), _column(batch.pair_openings)
    pairs = np.asarray(left, dtype=np.int64)
    # An opening is worth what its requests have no other for: one with few openings counts for more.
    choices = np.bincount(requests[pairs], minlength=len(batch.requesters))
    worth = np.bincount(
        openings[pairs], weights=SCORE_MOST // choices[requests[pairs]], minlength=len(batch.starts)
    )
    usable = np.zeros(len(batch.starts), dtype=bool)
    usable[_apart(batch, [(one, int(worth[one])) for one in np.unique(openings[pairs]).tolist()])] = True
    edges = pairs[usable[openings[pairs]]]
    scores = _column(batch.pair_scores)
    found = matched(ready_matrix(len(batch.requesters), requests, openings, scores, edges))
    return [pair for pair in found.tolist() if pair != NOT_SERVED]


def _apart(batch: Batch, worth: list[tuple[int, int]]) -> list[int]:
    """Of the openings, those that do not overlap and are worth most together, for each consultant."""
    by_consultant: dict[int, list[tuple[int, int, int, int]]] = {}
    for opening, value in worth:
        row = (batch.lasts[opening], batch.firsts[opening], opening, value)
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


def _all_different(batch: Batch) -> bool:
    return len(set(batch.requesters)) == len(batch.requesters)


def _column(numbers: object) -> Numbers:
    return np.frombuffer(numbers, dtype=np.int64) if len(numbers) else np.empty(0, dtype=np.int64)  # type: ignore[call-overload, arg-type]
