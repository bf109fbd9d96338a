"""Whose turn it is: nobody is ever a whole assignment away from their share."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from booking_tasks.credits.rules import Balance, queue_positions


def _served(weights: list[Decimal], rounds: int, chance: random.Random) -> list[dict[UUID, Balance]]:
    """The standings after every assignment to one whose turn it is."""
    standings = {UUID(int=number): Balance(weight=weight) for number, weight in enumerate(weights)}
    after = []
    for _ in range(rounds):
        due = [who for who, place in queue_positions(standings).items() if place == 0]
        who = chance.choice(due)
        standings = standings | {who: replace(standings[who], credits=standings[who].credits + 1)}
        after.append(standings)
    return after


@pytest.mark.parametrize("seed", range(60))
def test_with_weights_everyone_stays_within_one_of_the_ideal_share(seed: int) -> None:
    chance = random.Random(seed)
    weights = [Decimal(chance.randint(1, 10_000)) / 1000 for _ in range(chance.randint(2, 12))]
    whole = sum(weights)
    for count, standings in enumerate(_served(weights, 200, chance), start=1):
        for one in standings.values():
            assert abs(one.credits - count * one.weight / whole) < 1


@pytest.mark.parametrize("seed", range(10))
def test_equals_are_never_more_than_one_apart(seed: int) -> None:
    chance = random.Random(seed)
    for standings in _served([Decimal(1)] * chance.randint(2, 20), 100, chance):
        credits_ = [one.credits for one in standings.values()]
        assert max(credits_) - min(credits_) <= 1


def test_equals_share_a_place_and_the_order_of_rows_does_not_matter() -> None:
    one, two, three = (UUID(int=number) for number in range(3))
    standings = {one: Balance(Decimal(2)), two: Balance(Decimal(1)), three: Balance(Decimal(1))}
    assert queue_positions(standings) == {one: 1, two: 0, three: 0}
    assert queue_positions(dict(reversed(standings.items()))) == queue_positions(standings)
    assert queue_positions({}) == {}
