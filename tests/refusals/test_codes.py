"""Every refusal code that a command documents can be produced, and its outcome has no other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import PUBLIC, Query
from booking_tasks.contracts.base import CommonCode
from booking_tasks.enums import RefusalCode
from tests.refusals import administration, booking
from tests.refusals.world import World, use_case

SCENARIOS = booking.SCENARIOS | administration.SCENARIOS
COMMON = set(get_args(CommonCode))


def _codes(annotation: Any) -> Iterator[RefusalCode]:
    """The members of RefusalCode that a type allows."""
    for one in get_args(annotation):
        if isinstance(one, RefusalCode):
            yield one
        else:
            yield from _codes(one)


def documented(contract: type[Query[Any]]) -> set[RefusalCode]:
    """The codes of a command, by the type of its outcome's field."""
    return set(_codes(contract.outcome.model_fields["code"].annotation)) - COMMON


every_contract = pytest.mark.parametrize("contract", PUBLIC.values(), ids=lambda one: one.task)


@every_contract
def test_each_documented_code_has_a_scenario_and_no_other_has(contract: type[Query[Any]]) -> None:
    assert set(SCENARIOS.get(contract, {})) == documented(contract)


@every_contract
def test_the_function_that_answers_returns_the_outcome_of_the_contract(contract: type[Query[Any]]) -> None:
    """So mypy refuses a code that is not in the type."""
    assert get_type_hints(use_case(contract))["return"] == contract.outcome


@pytest.mark.parametrize(
    ("contract", "code"),
    [(contract, code) for contract, codes in SCENARIOS.items() for code in codes],
    ids=lambda one: getattr(one, "task", one),
)
def test_a_documented_code_can_be_produced(
    db: Session, ctx: Context, contract: type[Query[Any]], code: RefusalCode
) -> None:
    outcome = SCENARIOS[contract][code](World(db, ctx))

    assert (outcome.result, outcome.code) == ("refused", code)
    assert contract.outcome.model_validate(outcome.model_dump(mode="json")).code == code


def test_every_code_belongs_to_a_command() -> None:
    used = {code for contract in PUBLIC.values() for code in documented(contract)}
    assert used | COMMON == set(RefusalCode)
