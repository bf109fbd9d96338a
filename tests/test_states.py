"""The tables of allowed steps: they cover every state, are drawn in docs/states.md, and are enforced."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest

from booking_tasks.enums import (
    JobState,
    OfferState,
    PlanState,
    RequestStatus,
    SessionStatus,
    SlotStatus,
    StepState,
)
from booking_tasks.kit.errors import IllegalTransitionError
from booking_tasks.ops.states import document
from booking_tasks.outbox.workflow import REACTIONS
from booking_tasks.states import (
    CANCELLED,
    OPEN,
    SESSION_STEPS,
    STATE_MACHINES,
    VERDICTS,
    StateMachine,
    check_step,
    pairs,
)

ROOT = Path(__file__).parent.parent
STATES: dict[str, type[StrEnum]] = {
    "consultation_requests.status": RequestStatus,
    "scheduled_sessions.status": SessionStatus,
    "consultant_availability_slots.status": SlotStatus,
    "jobs.state": JobState,
    "time_offers.state": OfferState,
    "absence_plans.state": PlanState,
    "absence_plan_steps.state": StepState,
}

every_machine = pytest.mark.parametrize("machine", STATE_MACHINES, ids=lambda machine: machine.column)


@every_machine
def test_a_table_covers_every_state_and_no_other(machine: StateMachine) -> None:
    assert set(machine.steps) == set(STATES[machine.column])
    assert {after for _, after in pairs(machine.steps)} <= set(machine.steps)


@every_machine
def test_every_state_can_be_reached_from_an_initial_one(machine: StateMachine) -> None:
    reached, frontier = set(machine.initial), set(machine.initial)
    while frontier:
        frontier = {after for one in frontier for after in machine.steps[one]} - reached
        reached |= frontier
    assert reached == set(machine.steps)


@every_machine
def test_every_event_that_a_step_names_is_one_of_the_workflow(machine: StateMachine) -> None:
    causes = " ".join(cause for nexts in machine.steps.values() for cause in nexts.values())
    named = set(re.findall(r"\b(?:request|session|absence|job)\.[a-z_]+", causes))
    assert named <= set(REACTIONS)


def test_the_sets_of_session_statuses_do_not_overlap_and_leave_none_out() -> None:
    assert sorted([*OPEN, *CANCELLED, *VERDICTS]) == sorted(SessionStatus)
    assert all(not SESSION_STEPS[status] for status in CANCELLED)


def test_a_step_outside_the_table_is_refused() -> None:
    check_step(SESSION_STEPS, "scheduled", "in_progress")
    with pytest.raises(IllegalTransitionError, match="completed to scheduled"):
        check_step(SESSION_STEPS, "completed", "scheduled")


def test_the_page_of_states_is_written_from_the_tables() -> None:
    page = (ROOT / "docs" / "states.md").read_text()
    assert page == document(), "run `make states`"
