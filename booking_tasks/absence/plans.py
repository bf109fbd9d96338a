"""Plans for the sessions of a consultant who is away: shown, applied in one go, undone until told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.absence import store
from booking_tasks.absence.announcing import announce_plan
from booking_tasks.absence.draft import AffectedSessions, lock_affected, draft_steps
from booking_tasks.absence.rules import announce_at
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
from booking_tasks.hours import service as hours
from booking_tasks.hours import store as declared
from booking_tasks.hours.rules import Leave, leave_spans
from booking_tasks.models import AbsencePlan, AbsencePlanStep, Consultant
from booking_tasks.outbox import service as history
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.workflow import PlanSnapshot

_refused = AbsencePlanOutcome.refusal
Span = tuple[datetime, datetime]


def plan_absence(db: Session, ctx: Context, command: PlanAbsence) -> AbsencePlanOutcome:
    """What can become of the sessions: a draft, kept beside everything else and changing none of it."""
    consultant = declared.consultant(db, command.consultant_user_id)
    if consultant is None:
        return _refused("unknown_consultant", "consultant_user_id", "names no consultant")
    plan = store.lock_plan(db, command.plan_id)
    if plan is not None and (plan.state, plan.consultant_user_id) != ("draft", command.consultant_user_id):
        return _refused(
            "plan_exists", "plan_id", "names another plan, or one applied already; choose a new id"
        )
    leave = _leave(db, command)
    if command.leave_id is not None and leave is None:
        return _refused("unknown_leave", "leave_id", "names no leave of this consultant")
    span = _span(db, ctx, consultant, leave)
    affected = store.affected_sessions(db, command.consultant_user_id, span, ctx.now)
    refusal = _scope_refusal(command, affected)
    if refusal is not None:
        return refusal
    if plan is None:
        plan = AbsencePlan(id=command.plan_id, consultant_user_id=command.consultant_user_id, state="draft")
        db.add(plan)
    plan.starts_at, plan.ends_at = span or (None, None)
    plan.reason, plan.actor, plan.planned_at = command.reason, ctx.actor, ctx.now
    plan.criteria = {
        "except": [str(one) for one in command.except_session_ids],
        "chosen": {str(one.session_id): str(one.consultant_user_id) for one in command.chosen},
    }
    db.flush()
    return _draft_again(db, ctx, plan)


def _leave(db: Session, command: PlanAbsence) -> Leave | None:
    """The time away in the consultant's wall-clock time, where there is one."""
    if command.start is not None and command.end is not None:
        return Leave(command.start, command.end)
    found = declared.leave(db, command.leave_id) if command.leave_id else None
    if found is None or found.consultant_user_id != command.consultant_user_id:
        return None
    return Leave(found.start_local, found.end_local)


def _span(db: Session, ctx: Context, consultant: Consultant, leave: Leave | None) -> Span | None:
    """The instants of a time away, read as leave is read. One that is over already is an empty one."""
    if leave is None:
        return None
    plan = replace(hours.stored_plan(db, ctx, consultant), leaves=(leave,))
    spans = leave_spans(plan, ctx.now)
    return spans[0] if spans else (ctx.now, ctx.now + datetime.resolution)


def _scope_refusal(command: PlanAbsence, affected: Sequence[UUID]) -> AbsencePlanOutcome | None:
    named = {one.session_id for one in command.chosen}
    for field, ids in (("except_session_ids", set(command.except_session_ids)), ("chosen", named)):
        if ids - set(affected):
            return _refused("unknown_session", field, "names a session that the absence does not affect")
    if len(affected) > MOST_SESSIONS:
        problem = f"would take {len(affected)} sessions; plan at most {MOST_SESSIONS} at once"
        return _refused("too_many_sessions", "end", problem)
    return None


def _affected_session_ids(db: Session, ctx: Context, plan: AbsencePlan) -> list[UUID]:
    span = (plan.starts_at, plan.ends_at) if plan.starts_at and plan.ends_at else None
    found = store.affected_sessions(db, plan.consultant_user_id, span, ctx.now)
    return [one for one in found if str(one) not in plan.criteria.get("except", [])]


def _draft_again(db: Session, ctx: Context, plan: AbsencePlan, code: str | None = None) -> AbsencePlanOutcome:
    """Work the plan out anew, and keep that."""
    affected = lock_affected(db, _affected_session_ids(db, ctx, plan))
    steps = draft_steps(db, ctx, plan, affected)
    store.replace_steps(db, plan.id, steps)
    return _outcome("refused" if code else "done", plan, steps, code)


def apply_plan(db: Session, ctx: Context, command: ApplyAbsencePlan) -> AbsencePlanOutcome:
    """Do what the draft shows under the locks of everything it touches: all of it, or nothing."""
    plan = store.lock_plan(db, command.plan_id)
    if plan is None:
        return _refused("unknown_plan", "plan_id", "names no plan; ask for one by plan_absence")
    steps = store.steps_of(db, plan.id)
    if plan.state in {"applied", "announced"}:
        return _outcome("already_done", plan, steps)
    if plan.state == "undone":
        return _outcome("refused", plan, steps, "already_undone")
    affected = _lock_all(db, plan, steps)
    savepoint = db.begin_nested()
    if not _apply_steps(db, ctx, plan, steps, affected):
        savepoint.rollback()
        return _draft_again(db, ctx, plan, "plan_outdated")
    savepoint.commit()
    _record(db, ctx, plan, EventType.ABSENCE_APPLIED, {"steps": len(steps)})
    if plan.announce_at is not None and plan.announce_at <= ctx.now:
        announce_plan(db, ctx, plan)
    return _outcome("done", plan, store.steps_of(db, plan.id))


def _lock_all(db: Session, plan: AbsencePlan, steps: Sequence[AbsencePlanStep]) -> AffectedSessions:
    """Sessions, requests, consultants and requesters of a plan, locked in the order of the house."""
    affected = lock_affected(db, [one.scheduled_session_id for one in steps])
    who = {one.consultant_user_id for one in steps if one.consultant_user_id}
    store.lock_consultants(db, {plan.consultant_user_id, *who})
    store.lock_requesters(db, (one.requester_user_id for one in affected.sessions.values()))
    return affected


def _apply_steps(
    db: Session,
    ctx: Context,
    plan: AbsencePlan,
    steps: Sequence[AbsencePlanStep],
    affected: AffectedSessions,
) -> bool:
    if {one.scheduled_session_id for one in steps} != set(_affected_session_ids(db, ctx, plan)):
        return False
    starts = [one.scheduled_start_time for one in affected.sessions.values()]
    plan.announce_at = announce_at(ctx.now, ctx.policies.absence_grace, starts)
    plan.state, plan.applied_at, plan.actor = "applied", ctx.now, ctx.actor
    for step in steps:
        session = affected.sessions[step.scheduled_session_id]
        same = step.session_revision == session.revision
        if not same or not apply_step(db, ctx, step, session, affected.request(session), plan.announce_at):
            return False
    return True


def undo_plan(db: Session, ctx: Context, command: UndoAbsencePlan) -> AbsencePlanOutcome:
    """Put everything back as it was before the plan was applied, to the last bit; nobody hears of it."""
    plan = store.lock_plan(db, command.plan_id)
    if plan is None:
        return _refused("unknown_plan", "plan_id", "names no plan")
    steps = store.steps_of(db, plan.id)
    if plan.state == "undone":
        return _outcome("already_done", plan, steps)
    if plan.state != "applied":
        code = "already_announced" if plan.state == "announced" else "not_applied"
        return _outcome("refused", plan, steps, code)
    affected = _lock_all(db, plan, steps)
    for step in steps:
        untouched = is_untouched(db, step, affected.sessions[step.scheduled_session_id])
        revert_step(db, ctx, step, untouched=untouched)
        step.state = "undone" if untouched else "overtaken"
    plan.state, plan.finished_at = "undone", ctx.now
    db.flush()
    _record(db, ctx, plan, EventType.ABSENCE_UNDONE, {})
    return _outcome("done", plan, steps)


def _record(db: Session, ctx: Context, plan: AbsencePlan, type_: EventType, more: dict[str, Any]) -> None:
    due = plan.announce_at or ctx.now
    history.record_event(
        db,
        ctx,
        type_,
        consultant_user_id=plan.consultant_user_id,
        reason=plan.reason,
        plan=PlanSnapshot(plan.id, due),
        after={"plan_id": str(plan.id), "announce_at": due.astimezone(UTC).isoformat(), **more},
    )


def _outcome(
    result: Any, plan: AbsencePlan, steps: Sequence[AbsencePlanStep], code: str | None = None
) -> AbsencePlanOutcome:
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
            "proposal_id": step.id if step.action == "propose" else None,
        }
    )
