"""The allowed steps of every status and state, as data: before -> {after: what causes the step}.

The functions that change a status check their step against these tables, the database enforces those of
requests and sessions (`allowed_steps`), and `docs/states.md` draws them (`booking_tasks/ops/states.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
from booking_tasks.outbox.event_types import EventType

Steps = Mapping[str, Mapping[str, str]]

#: Still to be held, or being held.
OPEN = frozenset({SessionStatus.SCHEDULED, SessionStatus.IN_PROGRESS})
CANCELLED = frozenset({SessionStatus.CANCELLED_BY_USER, SessionStatus.CANCELLED_BY_CONSULTANT})
#: What the evidence made of a session that was held, in the order of the enum.
VERDICTS = tuple(status for status in SessionStatus if status not in OPEN | CANCELLED)

#: The event that records each verdict.
VERDICT_EVENTS: Mapping[str, EventType] = {
    SessionStatus.COMPLETED: EventType.SESSION_COMPLETED,
    SessionStatus.NO_SHOW_USER: EventType.SESSION_NO_SHOW,
    SessionStatus.NO_SHOW_CONSULTANT: EventType.SESSION_NO_SHOW,
    SessionStatus.ATTENDANCE_UNKNOWN: EventType.SESSION_ATTENDANCE_UNKNOWN,
}

#: A request. `completed` means that its session ended; the session's status says how.
REQUEST_STEPS: Steps = {
    RequestStatus.PENDING: {
        RequestStatus.PENDING_ASSIGNMENT: EventType.REQUEST_WAITING,
        RequestStatus.PENDING_CONFIRMATION: EventType.REQUEST_CONFIRMATION_REQUESTED,
        RequestStatus.SCHEDULED: EventType.SESSION_SCHEDULED,
        RequestStatus.CANCELLED: EventType.REQUEST_CANCELLED,
        RequestStatus.REJECTED: EventType.REQUEST_REJECTED,
    },
    RequestStatus.PENDING_ASSIGNMENT: {
        RequestStatus.PENDING_CONFIRMATION: EventType.REQUEST_CONFIRMATION_REQUESTED,
        RequestStatus.SCHEDULED: EventType.SESSION_SCHEDULED,
        RequestStatus.CANCELLED: EventType.REQUEST_CANCELLED,
        RequestStatus.REJECTED: EventType.REQUEST_REJECTED,
    },
    RequestStatus.PENDING_CONFIRMATION: {
        RequestStatus.PENDING_ASSIGNMENT: "request.declined, request.unanswered",
        RequestStatus.SCHEDULED: EventType.SESSION_SCHEDULED,
        RequestStatus.CANCELLED: EventType.REQUEST_CANCELLED,
        RequestStatus.REJECTED: EventType.REQUEST_REJECTED,
    },
    RequestStatus.SCHEDULED: {
        RequestStatus.COMPLETED: "session.completed, session.no_show, session.attendance_unknown",
        RequestStatus.CANCELLED: EventType.SESSION_CANCELLED,
    },
    RequestStatus.CANCELLED: {},
    RequestStatus.COMPLETED: {},
    RequestStatus.REJECTED: {},
}

#: A session. A verdict may be corrected into another; `cancelled_*` is final.
SESSION_STEPS: Steps = {
    SessionStatus.SCHEDULED: {
        SessionStatus.IN_PROGRESS: EventType.SESSION_STARTED,
        SessionStatus.CANCELLED_BY_USER: EventType.SESSION_CANCELLED,
        SessionStatus.CANCELLED_BY_CONSULTANT: EventType.SESSION_CANCELLED,
    },
    SessionStatus.IN_PROGRESS: {**VERDICT_EVENTS},
    SessionStatus.CANCELLED_BY_USER: {},
    SessionStatus.CANCELLED_BY_CONSULTANT: {},
    **{
        before: {after: EventType.SESSION_ATTENDANCE_CORRECTED for after in VERDICTS if after != before}
        for before in VERDICTS
    },
}

#: A row of the slot ledger. It keeps the status that it was inserted with until it is deleted: a hold that
#: is confirmed is deleted, and the booking is a new row.
SLOT_STEPS: Steps = {status: {} for status in SlotStatus}

#: A job. `uncertain` and `dead` wait for an operator; `done` and `skipped` are final.
JOB_STEPS: Steps = {
    JobState.WAITING: {JobState.LEASED: "a worker leases it"},
    JobState.LEASED: {
        JobState.SENDING: "the effect is stored, then tried",
        JobState.DONE: "nothing is to be sent",
        JobState.SKIPPED: "no longer needed",
        JobState.WAITING: "rescheduled, released, or the lease expired",
        JobState.DEAD: "the attempts are used up",
    },
    JobState.SENDING: {
        JobState.DONE: "the effect happened",
        JobState.WAITING: "it failed, or is repeated under its key",
        JobState.UNCERTAIN: "nobody knows whether it happened",
        JobState.DEAD: "refused, or the attempts are used up",
    },
    JobState.UNCERTAIN: {JobState.WAITING: EventType.JOB_REPLAYED, JobState.SKIPPED: EventType.JOB_DISCARDED},
    JobState.DEAD: {JobState.WAITING: EventType.JOB_REPLAYED, JobState.SKIPPED: EventType.JOB_DISCARDED},
    JobState.DONE: {},
    JobState.SKIPPED: {},
}

#: A time offer. `withdrawn`: the request ended, or was served otherwise.
OFFER_STEPS: Steps = {
    OfferState.OPEN: {
        OfferState.ACCEPTED: "session.scheduled, request.confirmation_requested",
        OfferState.DECLINED: EventType.REQUEST_OFFER_DECLINED,
        OfferState.LAPSED: EventType.REQUEST_OFFER_LAPSED,
        OfferState.WITHDRAWN: "request.cancelled, request.rejected",
    },
    **{state: {} for state in OfferState if state != OfferState.OPEN},
}

#: An absence plan. A draft may be replaced by another draft.
PLAN_STEPS: Steps = {
    PlanState.DRAFT: {PlanState.APPLIED: EventType.ABSENCE_APPLIED},
    PlanState.APPLIED: {
        PlanState.ANNOUNCED: EventType.ABSENCE_ANNOUNCED,
        PlanState.UNDONE: EventType.ABSENCE_UNDONE,
    },
    PlanState.ANNOUNCED: {},
    PlanState.UNDONE: {},
}

#: The step of an absence plan for one session. `overtaken`: somebody changed the session meanwhile.
PLAN_STEP_STEPS: Steps = {
    StepState.PLANNED: {StepState.APPLIED: EventType.ABSENCE_APPLIED},
    StepState.APPLIED: {
        StepState.DONE: EventType.SESSION_REASSIGNED,
        StepState.OFFERED: EventType.SESSION_TIME_PROPOSED,
        StepState.CANCELLED: EventType.SESSION_CANCELLED,
        StepState.UNDONE: EventType.ABSENCE_UNDONE,
        StepState.OVERTAKEN: "absence.announced, absence.undone",
    },
    StepState.OFFERED: {
        StepState.DONE: "session.rescheduled, session.reassigned",
        StepState.CANCELLED: EventType.SESSION_CANCELLED,
        StepState.OVERTAKEN: "the answer is due, and the session was changed meanwhile",
    },
    **{state: {} for state in (StepState.DONE, StepState.CANCELLED, StepState.UNDONE, StepState.OVERTAKEN)},
}


@dataclass(frozen=True)
class StateMachine:
    """The steps of one column, with the states that a new row may have."""

    title: str
    column: str
    steps: Steps
    initial: tuple[str, ...]


STATE_MACHINES = (
    StateMachine(
        "Request",
        "consultation_requests.status",
        REQUEST_STEPS,
        (RequestStatus.PENDING, RequestStatus.SCHEDULED),
    ),
    StateMachine("Session", "scheduled_sessions.status", SESSION_STEPS, (SessionStatus.SCHEDULED,)),
    StateMachine("Slot", "consultant_availability_slots.status", SLOT_STEPS, tuple(SlotStatus)),
    StateMachine("Job", "jobs.state", JOB_STEPS, (JobState.WAITING,)),
    StateMachine("Time offer", "time_offers.state", OFFER_STEPS, (OfferState.OPEN,)),
    StateMachine("Absence plan", "absence_plans.state", PLAN_STEPS, (PlanState.DRAFT,)),
    StateMachine(
        "Step of an absence plan", "absence_plan_steps.state", PLAN_STEP_STEPS, (StepState.PLANNED,)
    ),
)

#: The columns whose steps the database enforces, by the name of their aggregate in `allowed_steps`.
ENFORCED_STATUSES: Mapping[str, str] = {
    "request": "consultation_requests.status",
    "session": "scheduled_sessions.status",
}


def is_allowed(steps: Steps, before: str, after: str) -> bool:
    """Return whether the table has a step from one state to another."""
    return after in steps[before]


def check_step(steps: Steps, before: str, after: str) -> None:
    """Raise IllegalTransitionError unless the table has the step."""
    if after not in steps[before]:
        raise IllegalTransitionError(f"no step leads from {before} to {after}")


def pairs(steps: Steps) -> Iterable[tuple[str, str]]:
    """Return every allowed step as (before, after)."""
    return [(str(before), str(after)) for before, nexts in steps.items() for after in nexts]


def status_steps() -> list[tuple[str, str, str]]:
    """Return the rows of `allowed_steps`: (aggregate, before, after); before a new row, `before` is empty."""
    machines = {machine.column: machine for machine in STATE_MACHINES}
    rows = []
    for aggregate, column in ENFORCED_STATUSES.items():
        machine = machines[column]
        rows += [(aggregate, "", str(one)) for one in machine.initial]
        rows += [(aggregate, before, after) for before, after in pairs(machine.steps)]
    return rows
