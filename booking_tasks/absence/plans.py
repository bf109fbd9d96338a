"""Plans for the sessions of an absent consultant: drafted, applied as a whole, undone until announced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.absence import store
from booking_tasks.absence.announcement import announce_plan
from booking_tasks.absence.draft import AffectedSessions, draft_steps, lock_affected, lock_steps
from booking_tasks.absence.rules import announce_at
from booking_tasks.absence.state import transition_plan, transition_step
from booking_tasks.absence.steps import apply_step, is_untouched, revert_step
from booking_tasks.context import Context
from booking_tasks.contracts import (
    MOST_SESSIONS,
    AbsencePlanOutcome,
    AbsenceStep,
    ApplyAbsencePlan,
    PlanAbsence,
    UndoAbsencePlan,
)
from booking_tasks.contracts.absence import ApplyPlanCode, PlanAbsenceCode, UndoPlanCode
from booking_tasks.contracts.base import AnyCodeT, Result
from booking_tasks.enums import PlanState, RefusalCode, StepAction, StepState
from booking_tasks.hours import service as hours
from booking_tasks.hours import store as declared
from booking_tasks.hours.rules import Leave, leave_spans
from booking_tasks.kit.instants import Span
from booking_tasks.kit.savepoints import savepoint
from booking_tasks.models import AbsencePlan, AbsencePlanStep, Consultant

_refused = AbsencePlanOutcome.refusal


def plan_absence(db: Session, ctx: Context, command: PlanAbsence) -> AbsencePlanOutcome[PlanAbsenceCode]:
    """Draft a plan: what can happen to each session. The draft is stored and changes nothing else."""
    consultant = declared.consultant(db, command.consultant_user_id)
    if consultant is None:
        return _refused(RefusalCode.UNKNOWN_CONSULTANT, "consultant_user_id", "names no consultant")
    plan = store.lock_plan(db, command.plan_id)
    if plan is not None and not _is_draft_of(plan, command.consultant_user_id):
        return _refused(
            RefusalCode.PLAN_EXISTS, "plan_id", "names another plan, or one applied already; choose a new id"
        )
    leave = _leave(db, command)
    if command.leave_id is not None and leave is None:
        return _refused(RefusalCode.UNKNOWN_LEAVE, "leave_id", "names no leave of this consultant")
    span = _span(db, ctx, consultant, leave)
    affected = store.affected_sessions(db, command.consultant_user_id, span, ctx.now)
    refusal = _scope_refusal(command, affected)
    if refusal is not None:
        return refusal
    if plan is None:
        plan = AbsencePlan(
            id=command.plan_id, consultant_user_id=command.consultant_user_id, state=PlanState.DRAFT
        )
        db.add(plan)
    plan.starts_at, plan.ends_at = span or (None, None)
    plan.reason, plan.actor, plan.planned_at = command.reason, ctx.actor, ctx.now
    plan.criteria = {
        "except": [str(one) for one in command.except_session_ids],
        "chosen": {str(one.session_id): str(one.consultant_user_id) for one in command.chosen},
    }
    db.flush()
    return _draft_again(db, ctx, plan)


def _is_draft_of(plan: AbsencePlan, consultant_user_id: UUID) -> bool:
    return plan.state == PlanState.DRAFT and plan.consultant_user_id == consultant_user_id


def _leave(db: Session, command: PlanAbsence) -> Leave | None:
    """The absence in the consultant's wall-clock time, or None when the command names no existing one."""
    if command.start is not None and command.end is not None:
        return Leave(command.start, command.end)
    found = declared.leave(db, command.leave_id) if command.leave_id else None
    if found is None or found.consultant_user_id != command.consultant_user_id:
        return None
    return Leave(found.start_local, found.end_local)


def _span(db: Session, ctx: Context, consultant: Consultant, leave: Leave | None) -> Span | None:
    """The instants of an absence, by the rules for leave; an empty span when it is over already."""
    if leave is None:
        return None
    plan = replace(hours.stored_plan(db, ctx, consultant), leaves=(leave,))
    spans = leave_spans(plan, ctx.now)
    return spans[0] if spans else (ctx.now, ctx.now + datetime.resolution)


def _scope_refusal(
    command: PlanAbsence, affected: Sequence[UUID]
) -> AbsencePlanOutcome[PlanAbsenceCode] | None:
    named = {one.session_id for one in command.chosen}
    for field, ids in (("except_session_ids", set(command.except_session_ids)), ("chosen", named)):
        if ids - set(affected):
            return _refused(
                RefusalCode.UNKNOWN_SESSION, field, "names a session that the absence does not affect"
            )
    if len(affected) > MOST_SESSIONS:
        problem = f"would take {len(affected)} sessions; plan at most {MOST_SESSIONS} at once"
        return _refused(RefusalCode.TOO_MANY_SESSIONS, "end", problem)
    return None


def _affected_session_ids(db: Session, ctx: Context, plan: AbsencePlan) -> list[UUID]:
    span = (plan.starts_at, plan.ends_at) if plan.starts_at and plan.ends_at else None
    found = store.affected_sessions(db, plan.consultant_user_id, span, ctx.now)
    return [one for one in found if str(one) not in plan.criteria.get("except", [])]


def _draft_again(
    db: Session, ctx: Context, plan: AbsencePlan, code: AnyCodeT | None = None
) -> AbsencePlanOutcome[AnyCodeT]:
    """Draft the steps again from the present sessions, and store them."""
    affected = lock_affected(db, _affected_session_ids(db, ctx, plan))
    steps = draft_steps(db, ctx, plan, affected)
    store.replace_steps(db, plan.id, steps)
    return _outcome("refused" if code else "done", plan, steps, code)


def apply_plan(db: Session, ctx: Context, command: ApplyAbsencePlan) -> AbsencePlanOutcome[ApplyPlanCode]:
    """Apply a draft exactly as it was shown, as a whole or not at all."""
    plan = store.lock_plan(db, command.plan_id)
    if plan is None:
        return _refused(RefusalCode.UNKNOWN_PLAN, "plan_id", "names no plan; create one by plan_absence")
    steps = store.steps_of(db, plan.id)
    if plan.state in {PlanState.APPLIED, PlanState.ANNOUNCED}:
        return _outcome("already_done", plan, steps)
    if plan.state == PlanState.UNDONE:
        return _outcome("refused", plan, steps, RefusalCode.ALREADY_UNDONE)
    with savepoint(db) as attempt:  # a draft that is outdated gives its locks back before the next one
        is_applied = _apply_steps(db, ctx, plan, steps, lock_steps(db, plan, steps))
        if not is_applied:
            attempt.discard()
    if not is_applied:
        return _draft_again(db, ctx, plan, RefusalCode.PLAN_OUTDATED)
    if plan.announce_at is not None and plan.announce_at <= ctx.now:
        announce_plan(db, ctx, plan)
    return _outcome("done", plan, store.steps_of(db, plan.id))


def _apply_steps(
    db: Session,
    ctx: Context,
    plan: AbsencePlan,
    steps: Sequence[AbsencePlanStep],
    affected: AffectedSessions,
) -> bool:
    """Apply every step and the plan; return False when something changed since the draft was made."""
    if {one.scheduled_session_id for one in steps} != set(_affected_session_ids(db, ctx, plan)):
        return False
    starts = [one.scheduled_start_time for one in affected.sessions.values()]
    plan.announce_at = announce_at(ctx.now, ctx.policies.absence_grace, starts)
    plan.actor = ctx.actor
    for step in steps:
        session = affected.sessions[step.scheduled_session_id]
        if step.session_revision != session.revision:
            return False
        if not apply_step(db, ctx, step, session, affected.request(session), plan.announce_at):
            return False
    transition_plan(db, ctx, plan, PlanState.APPLIED, steps=len(steps))
    return True


def undo_plan(db: Session, ctx: Context, command: UndoAbsencePlan) -> AbsencePlanOutcome[UndoPlanCode]:
    """Restore everything exactly as it was before the plan was applied; nobody is notified."""
    plan = store.lock_plan(db, command.plan_id)
    if plan is None:
        return _refused(RefusalCode.UNKNOWN_PLAN, "plan_id", "names no plan")
    steps = store.steps_of(db, plan.id)
    if plan.state == PlanState.UNDONE:
        return _outcome("already_done", plan, steps)
    if plan.state != PlanState.APPLIED:
        is_announced = plan.state == PlanState.ANNOUNCED
        code: UndoPlanCode = RefusalCode.ALREADY_ANNOUNCED if is_announced else RefusalCode.NOT_APPLIED
        return _outcome("refused", plan, steps, code)
    affected = lock_steps(db, plan, steps)
    for step in steps:
        session = affected.sessions[step.scheduled_session_id]
        untouched = is_untouched(db, step, session)
        revert_step(db, ctx, step, session, untouched=untouched)
        transition_step(step, StepState.UNDONE if untouched else StepState.OVERTAKEN)
    transition_plan(db, ctx, plan, PlanState.UNDONE)
    return _outcome("done", plan, steps)


def _outcome(
    result: Result, plan: AbsencePlan, steps: Sequence[AbsencePlanStep], code: AnyCodeT | None = None
) -> AbsencePlanOutcome[AnyCodeT]:
    return AbsencePlanOutcome.model_validate(
        {
            "result": result,
            "code": code,
            "plan_id": plan.id,
            "state": plan.state,
            "announce_at": plan.announce_at,
            "steps": tuple(_step_outcome(one) for one in sorted(steps, key=lambda one: one.position)),
        }
    )


def _step_outcome(step: AbsencePlanStep) -> AbsenceStep:
    return AbsenceStep.model_validate(
        {
            "session_id": step.scheduled_session_id,
            "action": step.action,
            "reason": step.reason,
            "state": step.state,
            "consultant_user_id": step.consultant_user_id,
            "start": step.start_time,
            "end": step.end_time,
            "answer_by": step.answer_by,
            "proposal_id": step.id if step.action == StepAction.PROPOSE else None,
        }
    )
