"""Solves a batch: which request is served by whom and when. Pure; no clock, no database.

The best plan (`batch.plan` defines a plan) is hard to find in general, because openings overlap. So there are
three steps, each only if the one before left a gap to the bound:

1. A matching of requests to *cells*. A cell is a moment of one consultant that every opening in it
   covers, so no two of its openings are compatible. The matching of the cells bounds every plan from
   above; if its openings do not conflict, it is the best plan.
2. A matching over openings that do not overlap, repeated on what is left until nothing more fits, from
   three beginnings: nothing, the compatible pairs of step 1, and the greedy plan.
3. A search for the best plan in each group of requests that compete with each other.

Without scipy (extra `solver`) the plan is the greedy one: each request in turn takes its best pair.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from booking_tasks.batch.plan import (
    NOT_SERVED,
    Batch,
    Objective,
    Plan,
    Solution,
    compatible_plan,
    greedy_plan,
    independent_bound,
)


def has_solver() -> bool:
    """Whether the extra `solver` is installed."""
    return find_spec("scipy") is not None and find_spec("numpy") is not None


def solve(batch: Batch, seconds: float, now: Callable[[], float]) -> Solution:
    """Solve a batch within `seconds`, as `now` counts them; returns the best plan with its certificate.

    One matching is not interrupted. Its time grows with the number of pairs, which the caller limits.
    """
    if not has_solver():
        plan = greedy_plan(batch)
        return Solution(plan, Objective.of(batch, plan), independent_bound(batch), "greedy")
    from booking_tasks.batch import local_search, rounds  # noqa: PLC0415 - they need scipy

    until = now() + seconds
    relaxation = rounds.relaxation(batch)
    if relaxation.is_feasible:
        return Solution(relaxation.plan, relaxation.bound, relaxation.bound, "matching")
    plans = [("greedy", greedy_plan(batch))]
    for beginning in (plans[0][1], compatible_plan(batch, _best_first(batch, relaxation.plan)), None):
        if now() < until:
            plans.append(("rounds", rounds.extend_plan(batch, beginning, lambda: now() < until)))
    method, plan = max(plans, key=lambda one: Objective.of(batch, one[1]))
    found = Objective.of(batch, plan)
    if found == relaxation.bound:
        return Solution(plan, found, relaxation.bound, method)
    return local_search.improve_plan(
        batch, relaxation, Solution(plan, found, relaxation.bound, method), until, now
    )


def _best_first(batch: Batch, plan: Plan) -> list[int]:
    pairs = [pair for pair in plan if pair != NOT_SERVED]
    return sorted(pairs, key=lambda pair: (-batch.pair_scores[pair], pair))
