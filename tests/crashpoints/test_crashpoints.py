"""A worker dies at any moment and another goes on: a sample of what `make crashpoints` does everywhere.

In the sample are the moments at which a death once broke a rule.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from booking_tasks.contracts import PUBLIC, Command
from tests.conftest import database_url
from tests.crashpoints.harness import Lane, alternating
from tests.crashpoints.people import build_template
from tests.crashpoints.run import deaths, run_scenario, some
from tests.crashpoints.scenarios import SCENARIOS
from tests.crashpoints.verification import differences

DEATHS_EACH, DEATHS_EACH_LONG = 1, 6
SEED = 20270301

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def lanes(postgres: str, valkey: str) -> Iterator[list[Lane]]:
    name = f"booking_crash_template_{os.getpid()}"
    build_template(database_url("postgres"), name)
    redis = valkey.rpartition("/")[0]
    with Lane(postgres, name, f"{redis}/1") as one, Lane(postgres, name, f"{redis}/2") as other:
        yield [one, other]


#: What is compared here is the history, which this command rewrites: tests/forgetting is about it.
_REWRITES_HISTORY = {"forget_user"}


def test_every_command_occurs_in_a_scenario() -> None:
    source = "".join(Path(__file__).with_name(f"{name}.py").read_text() for name in ("scenarios", "steps"))
    commands = {task for task, contract in PUBLIC.items() if issubclass(contract, Command)}

    assert {task for task in commands if f'"{task}"' not in source} == _REWRITES_HISTORY


@pytest.mark.parametrize("count", [DEATHS_EACH, pytest.param(DEATHS_EACH_LONG, marks=pytest.mark.long)])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_wherever_a_worker_dies_another_completes_the_scenario_with_the_same_result(
    lanes: list[Lane], scenario: str, count: int
) -> None:
    ledger = run_scenario(scenario, lanes, lambda scenes: some(deaths(scenes), count, SEED))
    assert len(ledger.verdicts) == count
    assert ledger.violations == []


@pytest.mark.parametrize(
    ("scenario", "step", "before"),
    [
        # The day's run was taken first: consultants behind the death got no new day until tomorrow.
        ("in vain", 6, "before SELECT consultant_availability_slots.id,"),
        # Later than an hour after the end nobody waited for a report that the dead one had not read.
        ("unlinked", 7, "before report read"),
    ],
)
def test_the_deaths_that_once_broke_a_rule(lanes: list[Lane], scenario: str, step: int, before: str) -> None:
    with lanes[0].scenes(scenario) as scenes:
        points = [n for n, name in enumerate(scenes[step].points, 1) if name.startswith(before)]
        verdicts = [lanes[0].death(scenario, scenes, alternating(step, point)) for point in points[:4]]
    assert verdicts
    assert [one for one in verdicts if one.wrong or not one.died] == []


def test_a_move_to_an_overlapping_time_is_one_live_session_wherever_its_worker_dies(
    lanes: list[Lane],
) -> None:
    """Every point from a little before the new piece is taken until the move is committed."""
    with lanes[0].scenes("moved") as scenes:
        names = scenes[3].points
        taken = next(number for number, name in enumerate(names) if "refusal, session_end" in name)
        committed = next(number for number, name in enumerate(names) if number > taken and "commit" in name)
        points = range(taken, committed + 3)  # the first is number 1: one before it, one after the commit
        verdicts = [lanes[0].death("moved", scenes, alternating(3, point)) for point in points]
    assert len(verdicts) > 5
    assert [one for one in verdicts if one.wrong or not one.died] == []


def test_the_comparison_sees_what_is_lost_doubled_or_guessed() -> None:
    summary = {"mails": ["a", "b"], "jobs": {"send_reminder:1": "done"}, "events": ["x"], "repeated": 0}
    assert differences(summary, summary).wrong == []
    for part, value in {"mails": ["a"], "events": ["x", "x"], "jobs": {"send_reminder:1": "dead"}}.items():
        assert differences(summary, summary | {part: value}).wrong != []
    left = differences(summary, summary | {"jobs": {"send_reminder:1": "uncertain"}})
    assert (left.wrong, left.uncertain) == ([], ["send_reminder:1"])
    assert (
        differences(summary, summary | {"jobs": {"send_reminder:1": "uncertain"}, "repeated": 1}).wrong != []
    )
