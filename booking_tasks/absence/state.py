"""The changes of state of absence plans and their steps; nothing else sets their `state`."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.enums import PlanState, StepState
from booking_tasks.kit.instants import to_iso
from booking_tasks.models import AbsencePlan, AbsencePlanStep
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.service import record_event
from booking_tasks.outbox.workflow import PlanSnapshot
from booking_tasks.states import PLAN_STEP_STEPS, PLAN_STEPS, check_step


def transition_plan(db: Session, ctx: Context, plan: AbsencePlan, state: PlanState, **after: Any) -> None:
    """Change the state of a locked plan, note the instant, and record the event with its jobs.

    Raises IllegalTransitionError. `after` is added to what the event says of the plan.
    """
    check_step(PLAN_STEPS, plan.state, state)
    event_type = EventType(PLAN_STEPS[plan.state][state])
    plan.state = state
    if state == PlanState.APPLIED:
        plan.applied_at = ctx.now
    else:
        plan.finished_at = ctx.now
    db.flush()
    due = plan.announce_at or ctx.now
    if state != PlanState.ANNOUNCED:
        after = {"announce_at": to_iso(due), **after}
    record_event(
        db,
        ctx,
        event_type,
        consultant_user_id=plan.consultant_user_id,
        reason=plan.reason,
        plan=PlanSnapshot(plan.id, due),
        after={"plan_id": str(plan.id), **after},
    )


def transition_step(step: AbsencePlanStep, state: StepState) -> None:
    """Change the state of one step of a locked plan. Raises IllegalTransitionError."""
    check_step(PLAN_STEP_STEPS, step.state, state)
    step.state = state
