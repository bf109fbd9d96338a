"""Reassignment of one session to another consultant, by an operator."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import get_args
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.absence import store
from booking_tasks.absence.substitutes import substitutes_at_session_time
from booking_tasks.assignment import store as assignments
from booking_tasks.assignment.evaluation import ineligibility_for_request
from booking_tasks.assignment.rules import POLICY_VERSION, Candidate, ranked
from booking_tasks.availability import service as availability
from booking_tasks.availability.service import Refusal, Reservation
from booking_tasks.context import Context
from booking_tasks.contracts import ReassignOutcome, ReassignSession
from booking_tasks.contracts.absence import IneligibilityCode, ReassignCode
from booking_tasks.contracts.base import AnyCodeT, Result
from booking_tasks.enums import RefusalCode, SessionStatus
from booking_tasks.intake.store import consultant_exists
from booking_tasks.kit.savepoints import savepoint
from booking_tasks.models import ConsultationRequest, ScheduledSession
from booking_tasks.requests.store import locked_request
from booking_tasks.sessions import service as sessions
from booking_tasks.sessions.store import locked_session

_refused = ReassignOutcome[ReassignCode].refusal
#: Why the assignment rules a consultant out -> the same, as the type that the command names.
_INELIGIBLE: dict[str, IneligibilityCode] = {code: code for code in get_args(IneligibilityCode)}


def reassign(db: Session, ctx: Context, command: ReassignSession) -> ReassignOutcome[ReassignCode]:
    """Reassign a session: book the new consultant's time and release the former one's together."""
    session = locked_session(db, command.session_id)
    request = locked_request(db, session.consultation_request_id) if session else None
    if session is None or request is None:
        return _refused(RefusalCode.UNKNOWN_SESSION, "session_id", "names no session")
    who = command.consultant_user_id
    refusal = sessions.change_refusal(session, ctx)
    if refusal is not None:
        return session_outcome("refused", session, refusal)
    if who is None:
        return _reassign_to_best(db, ctx, session, request, command.reason)
    if who == session.consultant_user_id:
        return session_outcome("already_done", session)
    if not consultant_exists(db, who):
        return _refused(RefusalCode.UNKNOWN_CONSULTANT, "consultant_user_id", "names no consultant")
    return _reassign_to(db, ctx, session, request, who, command.reason)


def _reassign_to(
    db: Session,
    ctx: Context,
    session: ScheduledSession,
    request: ConsultationRequest,
    who: UUID,
    reason: str,
) -> ReassignOutcome[ReassignCode]:
    """Reassign to the consultant whom the operator named."""
    store.lock_consultants(db, (session.consultant_user_id, who))
    ineligible = ineligibility_for_request(db, request, who)
    if ineligible is not None:
        problem = f"cannot take this request ({ineligible}); choose another"
        return _refused(_INELIGIBLE[ineligible], "consultant_user_id", problem)
    start, length = session.scheduled_start_time, store.declared_length(db, who, session)
    taken = availability.move_booking(db, ctx, request, who, start, session, length)
    if isinstance(taken, Refusal):
        return session_outcome("refused", session, taken.code)
    return _complete(db, ctx, session, request, who, taken, reason, [])


def _reassign_to_best(
    db: Session,
    ctx: Context,
    session: ScheduledSession,
    request: ConsultationRequest,
    reason: str,
) -> ReassignOutcome[ReassignCode]:
    """Reassign to the best eligible consultant; a lost race releases its locks, and the next one is tried."""
    candidates = substitutes_at_session_time(db, ctx, session, request)
    for candidate in ranked(candidates):
        who = candidate.consultant_user_id
        with savepoint(db) as attempt:
            store.lock_consultants(db, (session.consultant_user_id, who))
            if assignments.at_capacity(db, [who], ctx.now):  # assigned to outside of this pool as well
                attempt.discard()
                continue
            taken = availability.move_booking(db, ctx, request, who, session.scheduled_start_time, session)
            if not isinstance(taken, Reservation):
                attempt.discard()
                continue
        return _complete(db, ctx, session, request, who, taken, reason, candidates)
    return session_outcome("refused", session, RefusalCode.NOBODY_CAN)


def _complete(
    db: Session,
    ctx: Context,
    session: ScheduledSession,
    request: ConsultationRequest,
    who: UUID,
    taken: Reservation,
    reason: str,
    candidates: Sequence[Candidate],
) -> ReassignOutcome[ReassignCode]:
    """Hand the session over to the consultant whose time is booked, and store the decision."""
    former = session.consultant_user_id
    sessions.reassign(db, ctx, session, request, who, taken, reason)
    record_decision(db, ctx, session, former, candidates)
    return session_outcome("done", session)


def record_decision(
    db: Session,
    ctx: Context,
    session: ScheduledSession,
    former: UUID,
    candidates: Sequence[Candidate],
    plan_id: UUID | None = None,
) -> None:
    """Store the decision by which a session went to its present consultant."""
    assignments.add_decision(
        db,
        consultation_request_id=session.consultation_request_id,
        decided_at=ctx.now,
        policy_version=POLICY_VERSION,
        consultant_user_id=session.consultant_user_id,
        start_time=session.scheduled_start_time,
        reason="reassigned",
        inputs={
            "former_consultant_user_id": str(former),
            "by": ctx.actor,
            "absence_plan_id": str(plan_id) if plan_id else None,
        },
        candidates=[one.as_stored() for one in candidates],
    )


def session_outcome(
    result: Result, session: ScheduledSession, code: AnyCodeT | None = None
) -> ReassignOutcome[AnyCodeT]:
    """The outcome of a command, with the session's present state."""
    return ReassignOutcome(
        result=result,
        code=code,
        session_id=session.id,
        status=SessionStatus(session.status),
        revision=session.revision,
        start=session.scheduled_start_time.astimezone(UTC),
        end=session.scheduled_end_time.astimezone(UTC),
        consultant_user_id=session.consultant_user_id,
    )
