"""Weights that cannot rank anybody stop the service at its start, with the variable and the reason."""

from __future__ import annotations

import pytest

from booking_tasks.context import Weights
from booking_tasks.enums import Term
from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.settings import load_settings


def test_named_weights_change_and_the_others_keep_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_ASSIGNMENT_WEIGHTS", "fairness=20, earliest=0.5")
    found = load_settings().policies.assignment_weights
    assert found == Weights(fairness=20.0, earliest=0.5)


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ("fairness=-1", "fairness must be zero or more"),
        ("fairness=nan", "fairness must be zero or more"),
        (",".join(f"{term}=0" for term in Term), "at least one weight must be above zero"),
        ("speed=1", "there is no term speed; the terms are preference"),
        ("fairness", "must be terms with their weights"),
        ("fairness=much", "must be terms with their weights"),
        ("fairness=1,fairness=2", "names fairness twice"),
    ],
)
def test_contradictory_weights_are_refused_by_variable_and_reason(
    monkeypatch: pytest.MonkeyPatch, weights: str, reason: str
) -> None:
    monkeypatch.setenv("BOOKING_ASSIGNMENT_WEIGHTS", weights)
    with pytest.raises(SettingsError, match=f"^BOOKING_ASSIGNMENT_WEIGHTS: {reason}"):
        load_settings()
