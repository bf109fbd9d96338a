"""Random lives of the service: the same on every run; others, and more, with `--hypothesis-profile soak`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from booking_tasks.contracts import PUBLIC, Command
from booking_tasks.kit.settings import Settings, variable_of
from booking_tasks.kit.settings import settings as booking_settings
from tests.properties.choices import Choices
from tests.properties.machine import Life

_COMMON: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": list(HealthCheck),
}
_FEW = settings(max_examples=5, stateful_step_count=30, derandomize=True, **_COMMON)
_MORE = settings(max_examples=40, stateful_step_count=30, derandomize=True, **_COMMON)
_FEW_CHOICES = settings(max_examples=3, stateful_step_count=30, derandomize=True, **_COMMON)


@pytest.fixture(autouse=True)
def _own_clock(own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stepped clock, no back-off to wait for, and nothing forgotten: rows are of another time than it."""
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    monkeypatch.setenv("BOOKING_HORIZON", "8d")
    for name in ("RETRY_BASE", "RETRY_CAP"):
        monkeypatch.setenv(f"BOOKING_{name}", "0.001")
    for name in (one for one in Settings.model_fields if one.startswith("retain_")):
        monkeypatch.setenv(variable_of(name), "36500d")
    booking_settings.cache_clear()


#: What is compared here is the history, which this command rewrites: tests/forgetting is about it.
_REWRITES_HISTORY = {"forget_user"}


def test_every_command_is_among_what_may_happen() -> None:
    modules = ("machine", "inbound_steps", "admin_steps", "booking_steps")
    source = "".join(Path(__file__).with_name(f"{name}.py").read_text() for name in modules)
    commands = {task for task, contract in PUBLIC.items() if issubclass(contract, Command)}

    assert {task for task in commands if f'"{task}"' not in source} == _REWRITES_HISTORY


@pytest.mark.timeout(0)
def test_whatever_the_order_what_must_be_true_stays_true() -> None:
    run_state_machine_as_test(Life, settings=_FEW)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_whatever_the_order_what_must_be_true_stays_true_longer() -> None:
    soaking = settings.get_current_profile_name() == "soak"
    run_state_machine_as_test(Life, settings=settings(**_COMMON) if soaking else _MORE)


@pytest.mark.timeout(0)
def test_every_booking_by_any_command_is_permitted() -> None:
    run_state_machine_as_test(Choices, settings=_FEW_CHOICES)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_every_booking_by_any_command_is_permitted_longer() -> None:
    soaking = settings.get_current_profile_name() == "soak"
    run_state_machine_as_test(Choices, settings=settings() if soaking else _MORE)
