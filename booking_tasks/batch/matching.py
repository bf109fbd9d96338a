"""Many requests at once: who is served, by whom and when. Pure; no clock, no database.

The best plan (`matching_plan` says what a plan is) is hard to find in general, because openings overlap.
What is done instead, each step only if the one before left a gap to what is possible at all:

1. A matching of requests to *cells*. A cell is a moment of one consultant that every opening in it
   covers, so no two of its openings go together. The matching of the cells bounds every plan from
   above; if its openings happen not to collide (they cannot where they do not overlap), it is the best.
2. A matching over openings that do not overlap, repeated on what is left until nothing more fits, from
   three beginnings: nothing, what of step 1 goes together, and the greedy plan.
3. A search that ends with the best plan, for each group of requests that compete with each other.

Without scipy (extra `solver`) the plan is the greedy one: each request in turn takes its best pair.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from booking_tasks.batch.plan import (
    NOT_SERVED,
    Answer,
    Batch,
    Objective,
    Plan,
    alone,
    greedy,
    kept,
)


def has_solver() -> bool:
    """Whether the extra `solver` is installed."""
    return find_spec("scipy") is not None and find_spec("numpy") is not None


def solved(batch: Batch, seconds: float, now: Callable[[], float]) -> Answer:
    """The best plan found in `seconds` as `now` counts them, with its certificate.

    What is not interrupted: one matching. Its time grows with the pairs, of which the caller decides.
    """
    if not has_solver():
        plan = greedy(batch)
        return Answer(plan, Objective.of(batch, plan), alone(batch), "greedy")
    from booking_tasks.batch import local_search, rounds  # noqa: PLC0415 - they need scipy

    until = now() + seconds
    relaxed = rounds.relaxed(batch)
    if relaxed.possible:
        return Answer(relaxed.plan, relaxed.bound, relaxed.bound, "matching")
    plans = [("greedy", greedy(batch))]
    for beginning in (plans[0][1], kept(batch, _best_first(batch, relaxed.plan)), None):
        if now() < until:
            plans.append(("rounds", rounds.extended(batch, beginning, lambda: now() < until)))
    method, plan = max(plans, key=lambda one: Objective.of(batch, one[1]))
    found = Objective.of(batch, plan)
    if found == relaxed.bound:
        return Answer(plan, found, relaxed.bound, method)
    return local_search.improved(batch, relaxed, Answer(plan, found, relaxed.bound, method), until, now)


def _best_first(batch: Batch, plan: Plan) -> list[int]:
    pairs = [pair for pair in plan if pair != NOT_SERVED]
    return sorted(pairs, key=lambda pair: (-batch.pair_scores[pair], pair))
