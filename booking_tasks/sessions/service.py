"""Booking, moving, reassigning, cancelling and starting sessions, each with its event in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.availability.service import Refusal, Reservation
from booking_tasks.context import Context
from booking_tasks.contracts import CancelSession, RescheduleSession, SessionOutcome
from booking_tasks.contracts.base import AnyCodeT, Result
from booking_tasks.contracts.booking import CancelSessionCode, ChangeCode, RescheduleCode
from booking_tasks.credits.service import grant_credit, reverse_credit
from booking_tasks.enums import RefusalCode, RequestStatus, SessionStatus
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.instants import to_iso
from booking_tasks.models import ConsultationRequest, ScheduledSession
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.capacity_released import record_capacity_released
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.pending_wakeups import wake_after_commit
from booking_tasks.outbox.workflow import SessionSnapshot
from booking_tasks.requests import service as requests
from booking_tasks.requests.rules import NewRequest
from booking_tasks.requests.store import locked_request
from booking_tasks.sessions import store
from booking_tasks.sessions.rules import AcceptedConfirmation
from booking_tasks.sessions.store import SessionDraft
from booking_tasks.states import REQUEST_STEPS, SESSION_STEPS, check_step, is_allowed


def schedule(
    db: Session,
    ctx: Context,
    request: ConsultationRequest | NewRequest,
    consultant_user_id: UUID,
    start: datetime,
    end: datetime,
    *,
    from_hold: bool = False,
    decision: dict[str, Any] | None = None,
    confirmation: AcceptedConfirmation | None = None,
) -> SessionSnapshot | Refusal:
    """Book a start for a locked or a new request, or turn its hold into a booking. One round trip.

    Writes the session, its slot, the request, the event with its jobs, and `decision`, the row of the
    choice behind it. With an accepted confirmation request, its calendar entry becomes that of the session:
    the session takes its id, and its first revision is 1 and later than the request (another round trip).
    A refusal changes nothing.
    """
    while True:
        draft = draft_session(ctx, request, consultant_user_id, start, end, decision, confirmation)
        refusal, real_end = store.book_session(db, draft, now=ctx.now, from_hold=from_hold)
        if refusal is None:
            session = draft.session
            if confirmation is not None:
                revised_at = max(ctx.now, confirmation.requested_at + timedelta(seconds=1))
                store.set_revision(db, session.id, session.revision, revised_at)
            wake_after_commit(db, draft.entry.job_types_due(ctx.now))
            return session
        if real_end is None:  # only `other_length` comes with an end
            return Refusal(refusal)
        # The policy that is read under the lock decides on the length, not the one that was read before.
        end = real_end


def draft_session(
    ctx: Context,
    request: ConsultationRequest | NewRequest,
    consultant_user_id: UUID,
    start: datetime,
    end: datetime,
    decision: dict[str, Any] | None,
    confirmation: AcceptedConfirmation | None = None,
) -> SessionDraft:
    """Return a booking with its event and jobs, before anything is written."""
    check_step(REQUEST_STEPS, request.status, RequestStatus.SCHEDULED)
    session = SessionSnapshot(
        id=uuid7() if confirmation is None else confirmation.id,
        request_id=request.id,
        revision=0 if confirmation is None else 1,
        start=start,
        end=end,
        requester_user_id=request.requester_user_id,
        consultant_user_id=consultant_user_id,
        join_url=None,
    )
    entry = outbox.outbox_entry(
        ctx,
        EventType.SESSION_SCHEDULED,
        session=session,
        before={"request_status": request.status},
        after={
            "request_status": RequestStatus.SCHEDULED,
            "status": SessionStatus.SCHEDULED,
            "revision": session.revision,
        }
        | _span(session),
    )
    return SessionDraft(request, session, entry, decision)


def _span(session: SessionSnapshot) -> dict[str, str]:
    return {
        "start": to_iso(session.start),
        "end": to_iso(session.end),
    }


def reschedule(db: Session, ctx: Context, command: RescheduleSession) -> SessionOutcome[RescheduleCode]:
    """Move a session: its new slot is booked and the old one released in one transaction."""
    session = store.locked_session(db, command.session_id)
    if session is None:
        return SessionOutcome(result="refused", code=RefusalCode.UNKNOWN_SESSION)
    refusal = change_refusal(session, ctx)
    if refusal is not None:
        return _outcome("refused", session, refusal)
    if session.scheduled_start_time == command.new_start:
        return _outcome("already_done", session)
    request = locked_request(db, session.consultation_request_id)
    if request is None:
        return SessionOutcome(result="refused", code=RefusalCode.UNKNOWN_SESSION)
    taken = availability.move_booking(
        db, ctx, request, session.consultant_user_id, command.new_start, session
    )
    if isinstance(taken, Refusal):
        return _outcome("refused", session, taken.code)
    move(db, ctx, session, taken, command.reason)
    return _outcome("done", session)


def move(
    db: Session, ctx: Context, session: ScheduledSession, taken: Reservation, reason: str | None
) -> None:
    """Move a locked session to a time that is booked for it already."""
    before = _state(session)
    people = [session.consultant_user_id, session.requester_user_id]
    record_capacity_released(db, ctx, people, "moved")
    session.scheduled_start_time, session.scheduled_end_time = taken.start, taken.end
    session.substitute_user_id = None
    revise(session, ctx)
    db.flush()
    outbox.record_event(
        db,
        ctx,
        EventType.SESSION_RESCHEDULED,
        session=session,
        before=before,
        after=_state(session),
        reason=reason,
    )


def reassign(
    db: Session,
    ctx: Context,
    session: ScheduledSession,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    taken: Reservation,
    reason: str | None,
) -> None:
    """Reassign a session to a consultant whose slot is booked already. Session and request are locked."""
    former, before = session.consultant_user_id, _state(session)
    freed = [former]
    if (taken.start, taken.end) != (session.scheduled_start_time, session.scheduled_end_time):
        freed.append(session.requester_user_id)
    session.consultant_user_id = request.assigned_consultant_user_id = consultant_user_id
    session.scheduled_start_time, session.scheduled_end_time = taken.start, taken.end
    session.substitute_user_id = None
    revise(session, ctx)
    request.updated_at = ctx.now
    if reverse_credit(db, ctx, request.id, EventType.SESSION_REASSIGNED):
        grant_credit(db, ctx, request, consultant_user_id)
    record_capacity_released(db, ctx, freed, "reassigned")
    db.flush()
    outbox.record_event(
        db,
        ctx,
        EventType.SESSION_REASSIGNED,
        session=session,
        former_consultant=former,
        reason=reason,
        before=before | {"consultant_user_id": str(former)},
        after=_state(session) | {"consultant_user_id": str(consultant_user_id)},
    )


def transition(
    db: Session,
    ctx: Context,
    session: ScheduledSession,
    status: SessionStatus,
    event: EventType,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reason: str | None = None,
) -> None:
    """Change the status of a locked session and record the event, with the jobs that follow from it.

    `before` and `after` are recorded beside the status. Raises IllegalTransitionError for a step that is
    not in SESSION_STEPS.
    """
    status_before = session.status
    check_step(SESSION_STEPS, status_before, status)
    session.status, session.status_reason, session.updated_at = status, reason, ctx.now
    db.flush()
    outbox.record_event(
        db,
        ctx,
        event,
        session=session,
        before={"status": status_before, **before},
        after={"status": status, **after},
        reason=reason,
    )


def cancel(db: Session, ctx: Context, command: CancelSession) -> SessionOutcome[CancelSessionCode]:
    """Cancel a session before it begins, for one of its sides; its time is free at once."""
    session = store.locked_session(db, command.session_id)
    if session is None:
        return SessionOutcome(result="refused", code=RefusalCode.UNKNOWN_SESSION)
    status = SessionStatus(f"cancelled_by_{command.cancelled_by}")
    if session.status == status:
        return _outcome("already_done", session)
    refusal = change_refusal(session, ctx)
    if refusal is not None:
        return _outcome("refused", session, refusal)
    cancel_locked(db, ctx, session, status, command.reason)
    return _outcome("done", session)


def cancel_locked(
    db: Session, ctx: Context, session: ScheduledSession, status: SessionStatus, reason: str
) -> None:
    """Cancel a locked session that has not begun, as `cancelled_by_user` or `cancelled_by_consultant`."""
    before = _times(session)
    request = locked_request(db, session.consultation_request_id)
    if request is not None and is_allowed(REQUEST_STEPS, request.status, RequestStatus.CANCELLED):
        requests.follow_session(ctx, request, RequestStatus.CANCELLED, status)
    reverse_credit(db, ctx, session.consultation_request_id, status)
    availability.release_session_time(
        db, ctx, session.consultant_user_id, session.id, session.consultation_request_id
    )
    session.substitute_user_id = None
    revise(session, ctx)
    transition(
        db,
        ctx,
        session,
        status,
        EventType.SESSION_CANCELLED,
        before=before,
        after=_times(session),
        reason=reason,
    )


def start_due_sessions(db: Session, ctx: Context, limit: int = 200) -> int:
    """Set sessions whose start has come to in_progress; return how many."""
    sessions = store.sessions_to_start(db, ctx.now, limit)
    for session in sessions:
        times = _times(session)
        transition(
            db, ctx, session, SessionStatus.IN_PROGRESS, EventType.SESSION_STARTED, before=times, after=times
        )
    return len(sessions)


def revise(session: ScheduledSession, ctx: Context) -> None:
    """Count a change that people are notified of; its instant is strictly later than the last one's."""
    session.revision += 1
    session.revised_at = max(ctx.now, session.revised_at + timedelta(seconds=1))
    session.updated_at = ctx.now


def change_refusal(session: ScheduledSession, ctx: Context) -> ChangeCode | None:
    """Return why a session can no longer be moved, reassigned or cancelled, or None."""
    if session.status == SessionStatus.IN_PROGRESS:
        return RefusalCode.ALREADY_STARTED
    if session.status != SessionStatus.SCHEDULED:
        return RefusalCode.ALREADY_ENDED
    return RefusalCode.ALREADY_STARTED if session.scheduled_start_time <= ctx.now else None


def _state(session: ScheduledSession) -> dict[str, Any]:
    return {"status": session.status, **_times(session)}


def _times(session: ScheduledSession) -> dict[str, Any]:
    return {"revision": session.revision, **_span(outbox.session_snapshot(session))}


def _outcome(
    result: Result, session: ScheduledSession, code: AnyCodeT | None = None
) -> SessionOutcome[AnyCodeT]:
    return SessionOutcome(
        result=result,
        code=code,
        session_id=session.id,
        status=SessionStatus(session.status),
        revision=session.revision,
        start=session.scheduled_start_time.astimezone(UTC),
        end=session.scheduled_end_time.astimezone(UTC),
    )
