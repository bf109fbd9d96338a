"""Telling what an absence plan did: from here on sessions, calendars and people hear of it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.absence import store
from booking_tasks.absence.draft import AffectedSessions, lock_affected
from booking_tasks.absence.service import record_decision, session_outcome
from booking_tasks.absence.steps import release_hold, is_untouched, revert_step
from booking_tasks.availability.service import Taken
from booking_tasks.context import Context
from booking_tasks.contracts import AnswerProposal, ReassignOutcome
from booking_tasks.models import AbsencePlan, AbsencePlanStep, ScheduledSession
from booking_tasks.outbox import service as history
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.workflow import PlanSnapshot
from booking_tasks.sessions import service as sessions

#: How a session ends that nobody could keep, and why: a word, for the reason of the absence is private.
_ENDED = "cancelled_by_consultant"
_AWAY = "consultant_away"


def announce_due_plan(db: Session, ctx: Context, plan_id: UUID) -> str | None:
    """Tell a plan whose time has come, on the word of whoever applied it. Returns why not, or None."""
    plan = store.lock_plan(db, plan_id)
    if plan is None or plan.state != "applied":
        return "the plan is gone" if plan is None else f"the plan is {plan.state}"
    announce_plan(db, ctx.on_behalf_of(plan.actor), plan)
    return None


def announce_plan(db: Session, ctx: Context, plan: AbsencePlan) -> None:
    """Make every step of a locked, applied plan true for everybody, in one go.

    What somebody acted on since stays as they left it. A session that has begun meanwhile (nobody came to
    tell in time) stays with its consultant.
    """
    steps = store.steps_of(db, plan.id)
    affected = lock_affected(db, [one.scheduled_session_id for one in steps])
    who = {one.consultant_user_id for one in steps if one.consultant_user_id}
    store.lock_consultants(db, {plan.consultant_user_id, *who})
    for step in steps:
        session = affected.sessions[step.scheduled_session_id]
        untouched = is_untouched(db, step, session)
        if untouched and sessions.why_fixed(session, ctx) is None:
            _announce_step(db, ctx, plan, step, session, affected)
        else:
            revert_step(db, ctx, step, untouched=untouched)
            step.state = "overtaken"
    plan.state, plan.finished_at = "announced", ctx.now
    db.flush()
    after = {"plan_id": str(plan.id)}
    history.record_event(
        db,
        ctx,
        EventType.ABSENCE_ANNOUNCED,
        consultant_user_id=plan.consultant_user_id,
        reason=plan.reason,
        after=after,
    )


def _announce_step(
    db: Session,
    ctx: Context,
    plan: AbsencePlan,
    step: AbsencePlanStep,
    session: ScheduledSession,
    affected: AffectedSessions,
) -> None:
    store.delete_slot(db, step.block_id, "unavailable")
    if step.action == "reassign" and step.consultant_user_id and step.booking_id:
        step.state = "done"
        request, former = affected.request(session), session.consultant_user_id
        taken = Taken(step.booking_id, session.scheduled_start_time, session.scheduled_end_time)
        sessions.hand_over(db, ctx, session, request, step.consultant_user_id, taken, plan.reason)
        record_decision(db, ctx, session, former, [], plan.id)
    elif step.action == "propose" and store.lock_live_hold(db, step.hold_id, ctx.now):
        step.state = "offered"
        _offer(db, ctx, step, session)
    else:  # called off, or the time that was kept is over before anybody could ask
        _cancel(db, ctx, step, session, "cancelled")


def _offer(db: Session, ctx: Context, step: AbsencePlanStep, session: ScheduledSession) -> None:
    if step.answer_by is None or step.start_time is None:
        raise AssertionError("the database holds an applied proposal to its times")
    db.flush()
    history.record_event(
        db,
        ctx,
        EventType.SESSION_TIME_PROPOSED,
        session=session,
        plan=PlanSnapshot(step.id, step.answer_by),
        after={
            "proposal_id": str(step.id),
            "proposed_consultant_user_id": str(step.consultant_user_id),
            "proposed_start": _instant(step.start_time),
            "answer_by": _instant(step.answer_by),
        },
    )


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _cancel(db: Session, ctx: Context, step: AbsencePlanStep, session: ScheduledSession, state: str) -> None:
    """Call a session off, and give back the time that was kept instead."""
    release_hold(db, ctx, step)
    step.state = state
    sessions.call_off(db, ctx, session, _ENDED, _AWAY)


def answer_proposal(db: Session, ctx: Context, command: AnswerProposal) -> ReassignOutcome:
    """The requester's word about the time that is kept for them."""
    found = store.plan_step(db, command.proposal_id)
    if found is None or found.action != "propose":
        return ReassignOutcome.refusal("unknown_proposal", "proposal_id", "names no proposal")
    affected = lock_affected(db, [found.scheduled_session_id])
    session = affected.sessions[found.scheduled_session_id]
    step = store.plan_step(db, found.id)
    if step is None or step.state != "offered":
        state = step.state if step else ""
        same = (state == "done" and command.accepted) or (state == "cancelled" and not command.accepted)
        return session_outcome("already_done" if same else "refused", session, None if same else "not_offered")
    who = step.consultant_user_id
    store.lock_consultants(db, {session.consultant_user_id, *([who] if who else [])})
    if not is_untouched(db, step, session) or sessions.why_fixed(session, ctx) is not None:
        return session_outcome("refused", session, "not_offered")
    if not command.accepted:
        _cancel(db, ctx, step, session, "cancelled")
        return session_outcome("done", session)
    return _accept(db, ctx, step, session, affected)


def _accept(
    db: Session,
    ctx: Context,
    step: AbsencePlanStep,
    session: ScheduledSession,
    affected: AffectedSessions,
) -> ReassignOutcome:
    """The kept time becomes the session's; the old one is free."""
    request, who, former = affected.request(session), step.consultant_user_id, session.consultant_user_id
    taken = store.book_hold(db, step.hold_id, session.id, ctx.now)
    if taken is None or who is None:
        return session_outcome("refused", session, "hold_expired")
    step.state = "done"
    if who == former:
        sessions.move(db, ctx, session, taken, _AWAY)
    else:
        sessions.hand_over(db, ctx, session, request, who, taken, _AWAY)
        record_decision(db, ctx, session, former, [], step.plan_id)
    return session_outcome("done", session)


def end_unanswered_proposal(db: Session, ctx: Context, session_id: UUID, step_id: UUID) -> str | None:
    """Nobody answered in time: the session ends, with an apology. Returns why not, or None."""
    affected = lock_affected(db, [session_id])
    step = store.plan_step(db, step_id)
    if step is None or step.state != "offered":
        return "the proposal is gone" if step is None else f"the proposal is {step.state}"
    session, who = affected.sessions[session_id], step.consultant_user_id
    store.lock_consultants(db, {session.consultant_user_id, *([who] if who else [])})
    if is_untouched(db, step, session) and sessions.why_fixed(session, ctx) is None:
        _cancel(db, ctx, step, session, "cancelled")
    else:
        revert_step(db, ctx, step, untouched=False)
        step.state = "overtaken"
    db.flush()
    return None
