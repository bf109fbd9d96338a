"""Many requests at once: what every plan keeps, however the batch looks."""

from __future__ import annotations

import itertools
from array import array
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booking_tasks.batch import local_search as matching_search
from booking_tasks.batch import matching
from booking_tasks.batch import rounds as matching_rounds
from booking_tasks.batch.plan import (
    NOT_SERVED,
    SCORE_MOST,
    Batch,
    Objective,
    Occupancy,
    Plan,
    Solution,
    greedy_plan,
    independent_bound,
)

Opening = tuple[int, int, int, int]  # consultant, first, length, buffer on both sides
Pair = tuple[int, int, int]  # request, opening, score


@dataclass(frozen=True)
class Case:
    """A batch as people would tell it. A requester and a consultant with one number are one person."""

    requesters: tuple[int, ...]
    openings: tuple[Opening, ...]
    pairs: tuple[Pair, ...]
    limits: tuple[tuple[int, int], ...] = ()  # (consultant, sessions in all)

    def batch(self) -> Batch:
        pairs = sorted(self.pairs)
        consultant_places = [
            number for number, (who, _) in enumerate(self.limits) for one in self.openings if one[0] == who
        ]
        limited = [
            place for who, _ in self.limits for place, one in enumerate(self.openings) if one[0] == who
        ]
        return Batch(
            requesters=array("q", self.requesters),
            consultants=array("q", [one[0] for one in self.openings]),
            starts=array("q", [one[1] for one in self.openings]),
            ends=array("q", [one[1] + one[2] for one in self.openings]),
            occupied_from=array("q", [one[1] - one[3] for one in self.openings]),
            occupied_until=array("q", [one[1] + one[2] + one[3] for one in self.openings]),
            pair_requests=array("q", [one[0] for one in pairs]),
            pair_openings=array("q", [one[1] for one in pairs]),
            pair_scores=array("q", [one[2] for one in pairs]),
            use_openings=array("q", limited),
            use_budgets=array("q", consultant_places),
            use_amounts=array("q", [1] * len(limited)),
            budgets=array("q", [most for _, most in self.limits]),
        )


@st.composite
def cases(draw: st.DrawFn, requests: int = 6, openings: int = 8) -> Case:
    """Small batches in which time is short: few moments, several lengths, buffers, limits, twins."""
    many = draw(st.integers(1, requests))
    requesters = tuple(draw(st.lists(st.integers(0, requests + 2), min_size=many, max_size=many)))
    opening = st.tuples(st.integers(0, 2), st.integers(0, 8), st.integers(1, 4), st.sampled_from([0, 0, 1]))
    offered = tuple(draw(st.lists(opening, min_size=1, max_size=openings, unique=True)))
    criteria = st.tuples(st.integers(0, many - 1), st.integers(0, len(offered) - 1))
    all_criteria = draw(st.lists(criteria, max_size=24, unique=True))
    scores = draw(
        st.lists(st.integers(0, SCORE_MOST), min_size=len(all_criteria), max_size=len(all_criteria))
    )
    limits = draw(st.dictionaries(st.integers(0, 2), st.integers(0, 2), max_size=2))
    pairs = tuple((*criteria, score) for criteria, score in zip(all_criteria, scores, strict=True))
    return Case(requesters, offered, pairs, tuple(sorted(limits.items())))


def solve(batch: Batch) -> Solution:
    return matching.solve(batch, 60.0, lambda: 0.0)


def best(batch: Batch) -> Objective:
    """By trying everything."""
    choices: list[list[int]] = [[NOT_SERVED] for _ in batch.requesters]
    for pair, request in enumerate(batch.pair_requests):
        choices[request].append(pair)
    found = Objective(0, 0)
    for plan in itertools.product(*choices):
        objective = Objective.of(batch, list(plan))
        if objective > found and keeps_every_rule(batch, list(plan)):
            found = objective
    return found


def presences_of(batch: Batch, pair: int) -> list[tuple[int, int, int]]:
    """Who is where, from when until when, in one pair: the consultant with the buffers."""
    opening = batch.pair_openings[pair]
    requester = batch.requesters[batch.pair_requests[pair]]
    return [
        (batch.consultants[opening], batch.occupied_from[opening], batch.occupied_until[opening]),
        (requester, batch.starts[opening], batch.ends[opening]),
    ]


def keeps_every_rule(batch: Batch, plan: Plan) -> bool:
    """Said again without any of the matching's own code: nobody twice, nobody over a limit."""
    pairs = [pair for pair in plan if pair != NOT_SERVED]
    if any(
        batch.pair_requests[plan[request]] != request
        for request in range(len(plan))
        if plan[request] != NOT_SERVED
    ):
        return False
    presences = [one for pair in pairs for one in presences_of(batch, pair)]
    for (who, begins, ends), (whom, since, until) in itertools.combinations(presences, 2):
        if who == whom and begins < until and since < ends:
            return False
    spent = [0] * len(batch.budgets)
    for pair in pairs:
        for opening, budget, amount in zip(
            batch.use_openings, batch.use_budgets, batch.use_amounts, strict=True
        ):
            spent[budget] += amount * (opening == batch.pair_openings[pair])
    return all(amount <= most for amount, most in zip(spent, batch.budgets, strict=True))


@settings(max_examples=150, deadline=None)
@given(cases(requests=5, openings=6))
def test_the_plan_is_the_best_of_all_and_says_so(case: Case) -> None:
    batch = case.batch()
    solution = solve(batch)

    assert keeps_every_rule(batch, solution.plan)
    assert Objective.of(batch, solution.plan) == solution.objective == best(batch)
    assert solution.is_optimal
    assert not solution.timed_out


@settings(max_examples=150, deadline=None)
@given(cases(requests=12, openings=14))
def test_nobody_is_double_or_over_a_limit_and_greed_is_never_better(case: Case) -> None:
    batch = case.batch()
    solution, plan = solve(batch), greedy_plan(batch)

    assert keeps_every_rule(batch, plan)
    assert keeps_every_rule(batch, solution.plan)
    assert Objective.of(batch, plan) <= solution.objective <= solution.bound <= independent_bound(batch)


@settings(max_examples=150, deadline=None)
@given(cases(requests=10, openings=12), st.data())
def test_one_more_hour_or_one_more_consultant_never_serves_fewer(case: Case, data: st.DataObject) -> None:
    """`more` opens before, between or beside what there was: it may change which openings are matched."""
    more = data.draw(
        st.lists(
            st.tuples(st.integers(0, 3), st.integers(-1, 9), st.integers(1, 4), st.just(0)),
            min_size=1,
            max_size=4,
            unique=True,
        ).map(lambda found: [one for one in found if one not in case.openings])
    )
    all_criteria = data.draw(
        st.lists(
            st.tuples(
                st.integers(0, len(case.requesters) - 1),
                st.integers(0, max(len(more) - 1, 0)),
                st.integers(0, SCORE_MOST),
            ),
            max_size=12,
            unique_by=lambda one: one[:2],
        )
    )
    added = tuple((who, len(case.openings) + which, score) for who, which, score in all_criteria if more)
    larger = replace(case, openings=(*case.openings, *more), pairs=(*case.pairs, *added))

    assert solve(larger.batch()).objective.served >= solve(case.batch()).objective.served


@settings(max_examples=60, deadline=None)
@given(cases(requests=12, openings=14))
def test_the_same_batch_gives_the_same_plan(case: Case) -> None:
    assert solve(case.batch()) == solve(case.batch())


@settings(max_examples=150, deadline=None)
@given(cases(requests=8, openings=10))
def test_without_time_for_a_search_the_plan_keeps_the_rules_and_the_bound_is_true(case: Case) -> None:
    batch = case.batch()
    ticks = itertools.count()
    hurried = matching.solve(batch, 0.5, lambda: float(next(ticks)))

    assert keeps_every_rule(batch, hurried.plan)
    assert hurried.objective >= Objective.of(batch, greedy_plan(batch))
    assert hurried.bound >= solve(batch).objective
    assert hurried.is_optimal or hurried.timed_out


@settings(max_examples=100, deadline=None)
@given(cases(requests=8, openings=10))
def test_without_a_search_nothing_that_still_fits_is_left(case: Case) -> None:
    batch = case.batch()
    plan = matching_rounds.extend_plan(batch, None, lambda: True)
    occupancy = Occupancy(batch)
    for pair in plan:
        if pair != NOT_SERVED:
            assert occupancy.fits(pair)
            occupancy.take(pair)

    assert not [
        pair
        for pair, request in enumerate(batch.pair_requests)
        if plan[request] == NOT_SERVED and occupancy.fits(pair)
    ]


@settings(max_examples=100, deadline=None)
@given(cases(requests=10, openings=12))
def test_groups_have_nothing_in_common(case: Case) -> None:
    batch = case.batch()
    found = matching_search.groups(batch)

    assert sorted(request for requests, _ in found for request in requests) == list(
        range(len(batch.requesters))
    )
    assert sorted(pair for _, pairs in found for pair in pairs) == list(range(len(batch.pair_requests)))
    for (_, some), (_, others) in itertools.combinations(found, 2):
        for one, other in itertools.product(some, others):
            plan = _only(batch, one, other)
            is_feasible = keeps_every_rule(batch, _only(batch, one)) and keeps_every_rule(
                batch, _only(batch, other)
            )
            assert keeps_every_rule(batch, plan) or not is_feasible


def _only(batch: Batch, *pairs: int) -> Plan:
    plan = [NOT_SERVED] * len(batch.requesters)
    for pair in pairs:
        plan[batch.pair_requests[pair]] = pair
    return plan


def test_a_new_start_that_hides_two_others_from_the_matching_does_not_serve_fewer() -> None:
    """Matchings of openings alone served three of these requests before the new start, and two after."""
    openings = ((1, 7, 4, 0), (0, 3, 2, 0), (1, 5, 2, 0), (1, 5, 3, 0), (0, 6, 2, 0), (1, 6, 3, 0))
    before = Case((7, 8, 9), openings, ((1, 0, 0), (0, 1, 1), (2, 4, 5)))
    new = ((0, 6, 8), (1, 6, 7), (2, 6, 8))
    after = replace(before, openings=(*openings, (0, 4, 3, 0)), pairs=(*before.pairs, *new))

    assert solve(before.batch()).objective.served == 3
    assert solve(after.batch()).objective.served == 3
    assert solve(after.batch()).method == "search"


def test_the_number_served_goes_before_any_score() -> None:
    dear = Case((7, 8), ((0, 0, 1, 0), (0, 1, 1, 0)), ((0, 0, SCORE_MOST), (0, 1, 0), (1, 0, 0)))

    assert solve(dear.batch()).objective == Objective(2, 0)


def test_one_requester_is_not_matched_to_two_consultants_at_once() -> None:
    twice = Case((7, 7), ((0, 0, 2, 0), (1, 1, 2, 0)), ((0, 0, 5), (1, 1, 9)))

    assert solve(twice.batch()).objective == Objective(1, 9)


def test_a_requester_is_not_matched_while_they_consult() -> None:
    both = Case((0, 7), ((0, 0, 2, 0), (1, 1, 2, 0)), ((0, 1, 5), (1, 0, 9)))

    assert solve(both.batch()).objective == Objective(1, 9)
    assert Objective.of(both.batch(), greedy_plan(both.batch())) == Objective(1, 5)


@pytest.mark.parametrize("readings", range(1, 25))
def test_the_solver_gets_no_time_that_is_over(readings: int) -> None:
    """A time below zero is ignored by the solver, with a warning (here an error): it would have no limit."""
    openings = (
        (1, 7, 4, 0),
        (0, 3, 2, 0),
        (1, 5, 2, 0),
        (1, 5, 3, 0),
        (0, 6, 2, 0),
        (1, 6, 3, 0),
        (0, 4, 3, 0),
    )
    pairs = ((1, 0, 0), (0, 1, 1), (2, 4, 5), (0, 6, 8), (1, 6, 7), (2, 6, 8))
    batch = Case((7, 8, 9), openings, pairs).batch()
    ticks = itertools.count()

    hurried = matching.solve(batch, readings - 0.5, lambda: float(next(ticks)))

    assert keeps_every_rule(batch, hurried.plan)
    assert hurried.is_optimal or hurried.timed_out
    assert next(ticks) < 25  # so the last of these end before their time


def test_nobody_is_matched_to_themselves() -> None:
    alone = Case((0,), ((0, 0, 2, 0),), ((0, 0, 5),))

    assert solve(alone.batch()).plan == greedy_plan(alone.batch()) == [NOT_SERVED]


def test_greed_serves_fewer_where_the_matching_serves_all() -> None:
    case = Case((7, 8), ((0, 0, 1, 0), (1, 0, 1, 0)), ((0, 0, 9), (0, 1, 8), (1, 0, 9)))
    batch = case.batch()

    assert Objective.of(batch, greedy_plan(batch)) == Objective(1, 9)
    assert solve(batch).objective == Objective(2, 17)


def test_without_the_solver_the_plan_is_greedy_and_the_bound_is_still_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "has_solver", lambda: False)
    batch = Case((7, 8), ((0, 0, 1, 0), (1, 0, 1, 0)), ((0, 0, 9), (0, 1, 8), (1, 0, 9))).batch()
    solution = solve(batch)

    assert (solution.method, solution.objective, solution.bound) == (
        "greedy",
        Objective(1, 9),
        Objective(2, 18),
    )


def test_an_empty_batch_has_an_answer() -> None:
    assert solve(Case((), (), ()).batch()).plan == []
    assert solve(Case((3,), (), ()).batch()).plan == [NOT_SERVED]
