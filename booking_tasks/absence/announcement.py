"""Announcement of absence plans and the requesters' answers to proposed times.

From the announcement on, sessions, calendars and people show what the plan decided.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.absence import store
from booking_tasks.absence.draft import AffectedSessions, lock_affected, lock_steps
from booking_tasks.absence.service import record_decision, session_outcome
from booking_tasks.absence.state import transition_plan, transition_step
from booking_tasks.absence.steps import is_untouched, release_hold, revert_step
from booking_tasks.availability.service import Reservation
from booking_tasks.context import Context
from booking_tasks.contracts import AnswerProposal, ReassignOutcome
from booking_tasks.contracts.absence import AnswerProposalCode
from booking_tasks.enums import PlanState, RefusalCode, SessionStatus, SlotStatus, StepAction, StepState
from booking_tasks.kit.instants import to_iso
from booking_tasks.models import AbsencePlan, AbsencePlanStep, ScheduledSession
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.workflow import PlanSnapshot
from booking_tasks.sessions import service as sessions

#: The reason of every change to a session: a code, because the reason of the absence is private.
_AWAY = "consultant_away"


def announce_due_plan(db: Session, ctx: Context, plan_id: UUID) -> str | None:
    """Announce a plan on behalf of the person who applied it; return why that was skipped, or None."""
    plan = store.lock_plan(db, plan_id)
    if plan is None or plan.state != PlanState.APPLIED:
        return "the plan is gone" if plan is None else f"the plan is {plan.state}"
    announce_plan(db, ctx.on_behalf_of(plan.actor), plan)
    return None


def announce_plan(db: Session, ctx: Context, plan: AbsencePlan) -> None:
    """Carry every step of a locked, applied plan over to its session and request.

    A session that somebody changed since the plan was applied stays as it is. A session that has begun by
    now (the announcement came too late) stays with its consultant.
    """
    steps = store.steps_of(db, plan.id)
    affected = lock_steps(db, plan, steps)
    for step in steps:
        session = affected.sessions[step.scheduled_session_id]
        untouched = is_untouched(db, step, session)
        if untouched and sessions.change_refusal(session, ctx) is None:
            _announce_step(db, ctx, plan, step, session, affected)
        else:
            revert_step(db, ctx, step, session, untouched=untouched)
            transition_step(step, StepState.OVERTAKEN)
    transition_plan(db, ctx, plan, PlanState.ANNOUNCED)


def _announce_step(
    db: Session,
    ctx: Context,
    plan: AbsencePlan,
    step: AbsencePlanStep,
    session: ScheduledSession,
    affected: AffectedSessions,
) -> None:
    store.delete_slot(db, step.block_id, SlotStatus.UNAVAILABLE)
    if step.action == StepAction.REASSIGN and step.consultant_user_id and step.booking_id:
        transition_step(step, StepState.DONE)
        request, former = affected.request(session), session.consultant_user_id
        taken = Reservation(step.booking_id, session.scheduled_start_time, session.scheduled_end_time)
        sessions.reassign(db, ctx, session, request, step.consultant_user_id, taken, plan.reason)
        record_decision(db, ctx, session, former, [], plan.id)
    elif step.action == StepAction.PROPOSE and store.lock_live_hold(db, step.hold_id, ctx.now):
        transition_step(step, StepState.OFFERED)
        _propose(db, ctx, step, session)
    else:  # to be cancelled, or the hold ended before its time could be proposed
        _cancel(db, ctx, step, session)


def _propose(db: Session, ctx: Context, step: AbsencePlanStep, session: ScheduledSession) -> None:
    if step.answer_by is None or step.start_time is None:
        raise AssertionError("an applied proposal has a start and an answer deadline (database constraint)")
    db.flush()
    outbox.record_event(
        db,
        ctx,
        EventType.SESSION_TIME_PROPOSED,
        session=session,
        plan=PlanSnapshot(step.id, step.answer_by),
        after={
            "proposal_id": str(step.id),
            "proposed_consultant_user_id": str(step.consultant_user_id),
            "proposed_start": to_iso(step.start_time),
            "answer_by": to_iso(step.answer_by),
        },
    )


def _cancel(db: Session, ctx: Context, step: AbsencePlanStep, session: ScheduledSession) -> None:
    """Cancel a session, and release the time that was held for its requester."""
    release_hold(db, ctx, step, session)
    transition_step(step, StepState.CANCELLED)
    sessions.cancel_locked(db, ctx, session, SessionStatus.CANCELLED_BY_CONSULTANT, _AWAY)


def answer_proposal(
    db: Session, ctx: Context, command: AnswerProposal
) -> ReassignOutcome[AnswerProposalCode]:
    """Accept or decline the time that is held for the requester; declined, the session is cancelled."""
    found = store.plan_step(db, command.proposal_id)
    if found is None or found.action != StepAction.PROPOSE:
        return ReassignOutcome[AnswerProposalCode].refusal(
            RefusalCode.UNKNOWN_PROPOSAL, "proposal_id", "names no proposal"
        )
    affected = lock_affected(db, [found.scheduled_session_id])
    session = affected.sessions[found.scheduled_session_id]
    step = store.plan_step(db, found.id)
    if step is None or step.state != StepState.OFFERED:
        repeated = StepState.DONE if command.accepted else StepState.CANCELLED
        if step is not None and step.state == repeated:
            return session_outcome("already_done", session)
        return session_outcome("refused", session, RefusalCode.NOT_OFFERED)
    _lock_persons(db, step, session)
    if not is_untouched(db, step, session) or sessions.change_refusal(session, ctx) is not None:
        return session_outcome("refused", session, RefusalCode.NOT_OFFERED)
    if not command.accepted:
        _cancel(db, ctx, step, session)
        return session_outcome("done", session)
    return _accept(db, ctx, step, session, affected)


def _accept(
    db: Session,
    ctx: Context,
    step: AbsencePlanStep,
    session: ScheduledSession,
    affected: AffectedSessions,
) -> ReassignOutcome[AnswerProposalCode]:
    """Make the held time the session's booking, and release its former time."""
    request, who, former = affected.request(session), step.consultant_user_id, session.consultant_user_id
    taken = store.book_hold(db, step.hold_id, session.id, ctx.now)
    if taken is None or who is None:
        return session_outcome("refused", session, RefusalCode.HOLD_EXPIRED)
    transition_step(step, StepState.DONE)
    if who == former:
        sessions.move(db, ctx, session, taken, _AWAY)
    else:
        sessions.reassign(db, ctx, session, request, who, taken, _AWAY)
        record_decision(db, ctx, session, former, [], step.plan_id)
    return session_outcome("done", session)


def end_unanswered_proposal(db: Session, ctx: Context, session_id: UUID, step_id: UUID) -> str | None:
    """Cancel a session whose requester did not answer in time; return why that was skipped, or None."""
    affected = lock_affected(db, [session_id])
    step = store.plan_step(db, step_id)
    if step is None or step.state != StepState.OFFERED:
        return "the proposal is gone" if step is None else f"the proposal is {step.state}"
    session = affected.sessions[session_id]
    _lock_persons(db, step, session)
    if is_untouched(db, step, session) and sessions.change_refusal(session, ctx) is None:
        _cancel(db, ctx, step, session)
    else:
        revert_step(db, ctx, step, session, untouched=False)
        transition_step(step, StepState.OVERTAKEN)
    db.flush()
    return None


def _lock_persons(db: Session, step: AbsencePlanStep, session: ScheduledSession) -> None:
    who = step.consultant_user_id
    consultants = {session.consultant_user_id, *([who] if who else [])}
    store.lock_persons(db, consultants, [session.requester_user_id])
