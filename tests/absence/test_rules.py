"""As many sessions as possible keep their time, and a plan is announced in time."""

from __future__ import annotations

import ast
from datetime import timedelta
from itertools import product
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booking_tasks.absence.rules import Distribution, announce_at, answer_deadline
from booking_tasks.absence.state import transition_step
from booking_tasks.enums import StepState
from booking_tasks.kit.errors import IllegalTransitionError
from booking_tasks.models import AbsencePlanStep
from tests.builders import NOW

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def sessions(count: int) -> list[UUID]:
    return [UUID(int=number) for number in range(1, count + 1)]


def people(count: int) -> list[UUID]:
    return [UUID(int=1000 + number) for number in range(count)]


class World:
    """Colleagues with a limit each, and pairs of sessions that one colleague cannot hold both."""

    def __init__(self, limits: dict[UUID, int], apart: set[frozenset[UUID]]) -> None:
        self.limits, self.apart = limits, apart
        self.taken: dict[UUID, UUID] = {}

    def fits(self, held: list[UUID], who: UUID) -> bool:
        pairs = {frozenset({one, other}) for one in held for other in held if one != other}
        return len(held) <= self.limits[who] and not pairs & self.apart

    def take(self, session: UUID, who: UUID) -> bool:
        assert session not in self.taken
        held = [one for one, holder in self.taken.items() if holder == who]
        if not self.fits([*held, session], who):
            return False
        self.taken[session] = who
        return True

    def free(self, session: UUID) -> None:
        del self.taken[session]

    def most(self, choices: dict[UUID, list[UUID]]) -> int:
        """How many can be assigned at best, by trying everything."""
        best = 0
        for holders in product(*([None, *who] for who in choices.values())):
            plan = {one: who for one, who in zip(choices, holders, strict=True) if who is not None}
            held = {who: [one for one, other in plan.items() if other == who] for who in plan.values()}
            if all(self.fits(mine, who) for who, mine in held.items()):
                best = max(best, len(plan))
        return best


@st.composite
def worlds(draw: st.DrawFn, *, with_pairs: bool) -> tuple[dict[UUID, list[UUID]], World]:
    who, ids = people(draw(st.integers(1, 3))), sessions(draw(st.integers(1, 6)))
    choices = {one: draw(st.lists(st.sampled_from(who), unique=True)) for one in ids}
    pairs = st.sampled_from([frozenset({a, b}) for a in ids for b in ids if a < b] or [frozenset(ids)])
    apart = draw(st.sets(pairs, max_size=5)) if with_pairs else set()
    limits = {one: draw(st.integers(0, 4)) for one in who}
    return choices, World(limits, apart)


def one_after_the_other(choices: dict[UUID, list[UUID]], world: World) -> int:
    """The same order, and nobody is moved on."""
    fresh = World(world.limits, world.apart)
    order = sorted(choices, key=lambda one: len(choices[one]))
    for session in order:
        has = list(fresh.taken.values())
        any(fresh.take(session, who) for who in sorted(choices[session], key=has.count))
    return len(fresh.taken)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(worlds(with_pairs=False))
def test_under_limits_as_many_as_possible_are_assigned(found: tuple[dict[UUID, list[UUID]], World]) -> None:
    choices, world = found
    assigned = Distribution(choices, world.take, world.free).distribute()
    assert assigned == world.taken
    assert all(who in choices[one] for one, who in assigned.items())
    assert len(assigned) == world.most(choices)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(worlds(with_pairs=True))
def test_where_sessions_stand_in_each_others_way_never_fewer_than_one_after_the_other(
    found: tuple[dict[UUID, list[UUID]], World],
) -> None:
    choices, world = found
    assigned = Distribution(choices, world.take, world.free).distribute()
    assert assigned == world.taken
    assert one_after_the_other(choices, world) <= len(assigned) <= world.most(choices)


def test_one_is_passed_on_so_that_another_can_be_assigned() -> None:
    [first, second], [ada, bob] = sessions(2), people(2)
    world = World({ada: 1, bob: 1}, set())
    #: The first could go to either and comes first by its choices; the second to one of them alone.
    choices = {first: [ada, bob], second: [ada, ada]}
    assert Distribution(choices, world.take, world.free).distribute() == {first: bob, second: ada}


def test_equals_get_them_evenly_and_of_those_with_as_many_the_best_comes_first() -> None:
    who, ids = people(3), sessions(5)
    world = World(dict.fromkeys(who, 9), set())
    assigned = Distribution(dict.fromkeys(ids, who), world.take, world.free).distribute()
    assert [assigned[one] for one in ids] == [who[0], who[1], who[2], who[0], who[1]]


def test_a_plan_is_announced_after_the_grace_but_a_grace_before_the_first_session_and_never_in_the_past() -> (
    None
):
    grace = 5 * MINUTE
    assert announce_at(NOW, grace, [NOW + HOUR, NOW + 2 * HOUR]) == NOW + grace
    assert announce_at(NOW, grace, [NOW + 2 * HOUR, NOW + 8 * MINUTE]) == NOW + 3 * MINUTE
    assert announce_at(NOW, grace, [NOW + 2 * MINUTE]) == NOW
    assert announce_at(NOW, timedelta(0), [NOW + HOUR]) == NOW
    assert announce_at(NOW, grace, []) == NOW + grace


def test_an_answer_has_its_time_and_comes_before_either_session() -> None:
    day = 24 * HOUR
    assert answer_deadline(NOW, day, NOW + 3 * day, NOW + 4 * day) == NOW + day
    assert answer_deadline(NOW, day, NOW + HOUR, NOW + 4 * day) == NOW + HOUR - timedelta(seconds=1)
    assert answer_deadline(NOW, day, NOW + day, NOW + HOUR) == NOW + HOUR - timedelta(seconds=1)
    assert answer_deadline(NOW, day, NOW + 10 * MINUTE, NOW + 4 * day) is None


def test_a_change_of_state_outside_the_table_is_refused() -> None:
    step = AbsencePlanStep(state=StepState.DONE)
    with pytest.raises(IllegalTransitionError, match="done to offered"):
        transition_step(step, StepState.OFFERED)
    assert step.state == StepState.DONE


def test_no_other_module_of_the_package_assigns_a_state() -> None:
    package = Path(__file__).parents[2] / "booking_tasks" / "absence"
    assigning = {
        module.name
        for module in package.glob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "state" and isinstance(node.ctx, ast.Store)
    }
    assert assigning == {"state.py"}
