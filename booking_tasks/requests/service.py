"""Changing the status of a request. Nothing else assigns it, except the SQL functions that book and hold.

The caller holds the lock of the request.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.availability import store as ledger
from booking_tasks.context import Context
from booking_tasks.enums import RequestStatus
from booking_tasks.kit.instants import to_iso
from booking_tasks.models import ConsultationRequest
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.service import OutboxEntry
from booking_tasks.requests.rules import confirmation_deadline
from booking_tasks.requests.store import locked_request
from booking_tasks.states import REQUEST_STEPS, check_step


def transition(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    status: RequestStatus,
    event: EventType,
    *,
    status_reason: str | None,
    reason: str | None = None,
) -> None:
    """Change the status of a request and record the event, with the jobs that follow from it.

    `status_reason` is shown to the requester, `reason` is kept with the event. Raises
    IllegalTransitionError for a step that is not in REQUEST_STEPS.
    """
    before = request.status
    _set_status(ctx, request, status, status_reason)
    db.flush()
    outbox.record_event(
        db,
        ctx,
        event,
        request=request,
        before={"status": before},
        after={"status": status},
        reason=reason,
    )


def follow_session(
    ctx: Context, request: ConsultationRequest, status: RequestStatus, status_reason: str
) -> None:
    """Change the status of a request because its session changed; the session's event records it."""
    _set_status(ctx, request, status, status_reason)


def complete(db: Session, ctx: Context, request_id: UUID, verdict: str) -> str | None:
    """Complete the request of a judged session, with the verdict as its reason.

    Returns the status before, or None where the request is neither scheduled nor completed. One that is
    completed already only takes on the corrected verdict.
    """
    request = locked_request(db, request_id)
    if request is None or request.status not in {RequestStatus.SCHEDULED, RequestStatus.COMPLETED}:
        return None
    before = request.status
    if before == RequestStatus.COMPLETED:
        request.status_reason, request.updated_at = verdict, ctx.now
    else:
        _set_status(ctx, request, RequestStatus.COMPLETED, verdict)
    return before


def _set_status(
    ctx: Context, request: ConsultationRequest, status: RequestStatus, status_reason: str | None
) -> None:
    check_step(REQUEST_STEPS, request.status, status)
    request.status, request.status_reason, request.updated_at = status, status_reason, ctx.now


def ensure_deadline(ctx: Context, request: ConsultationRequest) -> None:
    """Set the deadline of a request that has none: the assignment deadline, counted from its submission."""
    if request.deadline_at is None:
        request.deadline_at = request.requested_at + ctx.policies.assignment_deadline


def confirmation_entry(
    ctx: Context,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    start: datetime,
    end: datetime,
    until: datetime,
) -> OutboxEntry:
    """Return the event of a request that enters `pending_confirmation`. Raises IllegalTransitionError."""
    status = RequestStatus.PENDING_CONFIRMATION
    check_step(REQUEST_STEPS, request.status, status)
    snapshot = replace(outbox.request_snapshot(request), consultant_user_id=consultant_user_id)
    after: dict[str, Any] = {
        "status": status,
        "start": to_iso(start),
        "end": to_iso(end),
        "until": to_iso(until),
    }
    return outbox.outbox_entry(
        ctx,
        EventType.REQUEST_CONFIRMATION_REQUESTED,
        request=snapshot,
        before={"status": request.status},
        after=after,
    )


def request_confirmation(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    start: datetime,
    end: datetime,
) -> bool:
    """Ask the consultant to confirm the start that the request holds; False when the hold is over.

    The hold is kept until the consultant's deadline. The consultant is locked.
    """
    service_type = ledger.service_type(db, request.consultation_service_type_id)
    minutes = None if service_type is None else service_type.confirmation_minutes
    until = confirmation_deadline(ctx.now, minutes, ctx.policies.confirmation_deadline, start)
    if not availability.extend_hold(db, ctx, request.id, until):
        return False
    entry = confirmation_entry(ctx, request, consultant_user_id, start, end, until)
    if request.status == RequestStatus.PENDING and request.hold_token is not None:
        # What stood there was the end of the hold; the request itself has had no deadline yet.
        request.deadline_at = ctx.now + ctx.policies.assignment_deadline
    ensure_deadline(ctx, request)
    request.assigned_consultant_user_id = consultant_user_id
    _set_status(ctx, request, RequestStatus.PENDING_CONFIRMATION, None)
    outbox.append_event(db, ctx, entry)
    return True
