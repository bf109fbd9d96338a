"""Submitting, confirming, declining, cancelling and ending requests."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.availability.service import Refusal
from booking_tasks.context import Context
from booking_tasks.contracts import (
    CancelRequest,
    ConfirmRequest,
    DeclineRequest,
    RequestOutcome,
    SubmitRequest,
)
from booking_tasks.contracts.base import AnyCodeT, Result
from booking_tasks.contracts.booking import (
    AnswerCode,
    CancelRequestCode,
    ConfirmCode,
    DeclineCode,
    SubmitCode,
)
from booking_tasks.credits.service import reverse_credit
from booking_tasks.enums import RefusalCode, RequestStatus
from booking_tasks.intake import store
from booking_tasks.intake.preference import contradiction
from booking_tasks.models import ConsultationRequest, ServiceType
from booking_tasks.offers import service as offers
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.requests import service as requests
from booking_tasks.requests.confirmation_requests import open_confirmation_request
from booking_tasks.requests.store import locked_request
from booking_tasks.sessions import service as sessions
from booking_tasks.sessions.rules import AcceptedConfirmation
from booking_tasks.states import REQUEST_STEPS, check_step, is_allowed

_refused = RequestOutcome[SubmitCode].refusal


@dataclass(frozen=True)
class Submission:
    """A request before it is inserted, with its service type and its event."""

    request: ConsultationRequest
    service_type: ServiceType
    entry: outbox.OutboxEntry


def _refused_service_type(service_type: ServiceType | None) -> RequestOutcome[SubmitCode]:
    if service_type is None:
        return _refused(RefusalCode.UNKNOWN_SERVICE_TYPE, "service_type_id", "names no service type")
    return _refused(RefusalCode.SERVICE_TYPE_INACTIVE, "service_type_id", "is not offered any more")


def submission(db: Session, ctx: Context, command: SubmitRequest) -> Submission | RequestOutcome[SubmitCode]:
    """Return the request as it would be inserted, or the refusal. Writes nothing."""
    service_type = db.get(ServiceType, command.service_type_id)
    if service_type is None or not service_type.is_active:
        return _refused_service_type(service_type)
    preferred, replaced = command.preferred_consultant_user_id, command.replaces_request_id
    if preferred is not None and not store.consultant_exists(db, preferred):
        return _refused(RefusalCode.UNKNOWN_CONSULTANT, "preferred_consultant_user_id", "names no consultant")
    if replaced is not None and not store.request_exists(db, replaced):
        return _refused(RefusalCode.UNKNOWN_REQUEST, "replaces_request_id", "names no request")
    deadline = ctx.now + ctx.policies.assignment_deadline
    if command.preferred_end is not None:
        deadline = min(deadline, command.preferred_end)
    if deadline <= ctx.now:
        return _refused(RefusalCode.WINDOW_OVER, "preferred_end", "lies in the past; ask for a time ahead")
    contradicts = contradiction(command, ctx.now, deadline)
    if contradicts is not None:
        return _refused(RefusalCode.CONTRADICTORY_PREFERENCE, *contradicts)
    request = store.build_request(command, requested_at=ctx.now, deadline_at=deadline)
    entry = outbox.outbox_entry(
        ctx,
        EventType.REQUEST_SUBMITTED,
        request=outbox.request_snapshot(request),
        after={"status": request.status},
    )
    return Submission(request, service_type, entry)


def insert_request(
    db: Session, ctx: Context, new: Submission
) -> ConsultationRequest | RequestOutcome[SubmitCode]:
    """Insert a submission with its event; refused when its id is in use."""
    request = store.insert_request(db, new.request)
    if request is None:
        return request_exists_refusal()
    outbox.append_event(db, ctx, new.entry)
    return request


def request_exists_refusal() -> RequestOutcome[SubmitCode]:
    """Return the refusal of a submission under the id of another request."""
    return _refused(RefusalCode.REQUEST_EXISTS, "request_id", "is in use; choose a new one")


def postpone(db: Session, ctx: Context, request: ConsultationRequest, reason: str) -> None:
    """Leave the assignment to the job, which is due at once."""
    outbox.record_event(db, ctx, EventType.REQUEST_POSTPONED, request=request, reason=reason)


def confirm(db: Session, ctx: Context, command: ConfirmRequest) -> RequestOutcome[ConfirmCode]:
    """Confirm as the assigned consultant: the hold becomes the booking."""
    request = locked_request(db, command.request_id)
    if request is None:
        return RequestOutcome(result="refused", code=RefusalCode.UNKNOWN_REQUEST)
    if (
        request.status == RequestStatus.SCHEDULED
        and request.assigned_consultant_user_id == command.consultant_user_id
    ):
        return _outcome("already_done", request)
    refusal = _not_answerable(db, request, command)
    if refusal is not None:
        return _outcome("refused", request, refusal)
    held = availability.held_slot(db, request.id)
    if held is None or held.session_start_time is None or held.session_end_time is None:
        return _outcome("refused", request, RefusalCode.HOLD_EXPIRED)
    confirmation = open_confirmation_request(db, request.id, command.consultant_user_id)
    booked = sessions.schedule(
        db,
        ctx,
        request,
        command.consultant_user_id,
        held.session_start_time,
        held.session_end_time,
        from_hold=True,
        confirmation=None
        if confirmation is None
        else AcceptedConfirmation(confirmation.id, confirmation.requested_at),
    )
    if isinstance(booked, Refusal):
        return _outcome("refused", request, RefusalCode.HOLD_EXPIRED)
    return _outcome("done", request)


def decline(db: Session, ctx: Context, command: DeclineRequest) -> RequestOutcome[DeclineCode]:
    """Decline as the assigned consultant: the hold is released, and the request is assigned without them."""
    request = locked_request(db, command.request_id)
    if request is None:
        return RequestOutcome(result="refused", code=RefusalCode.UNKNOWN_REQUEST)
    refusal = _not_answerable(db, request, command)
    if refusal is not None:
        return _outcome("refused", request, refusal)
    _back_to_assignment(db, ctx, request, EventType.REQUEST_DECLINED, command.reason)
    return _outcome("done", request)


def cancel(db: Session, ctx: Context, command: CancelRequest) -> RequestOutcome[CancelRequestCode]:
    """Cancel a request for its requester; a consultant who was asked to confirm is notified."""
    request = locked_request(db, command.request_id)
    if request is None:
        return RequestOutcome(result="refused", code=RefusalCode.UNKNOWN_REQUEST)
    if request.status == RequestStatus.CANCELLED:
        return _outcome("already_done", request)
    if request.status == RequestStatus.SCHEDULED:
        return _outcome("refused", request, RefusalCode.ALREADY_SCHEDULED)
    if not is_allowed(REQUEST_STEPS, request.status, RequestStatus.CANCELLED):
        return _outcome("refused", request, RefusalCode.ALREADY_ENDED)
    availability.release_hold(db, ctx, request.id)
    _end(db, ctx, request, RequestStatus.CANCELLED, command.reason)
    return _outcome("done", request)


def expire_unanswered(db: Session, ctx: Context, request_id: UUID) -> bool:
    """Assign a request again whose consultant did not answer in time, without them."""
    request = locked_request(db, request_id)
    if request is None or request.status != RequestStatus.PENDING_CONFIRMATION:
        return False
    held = availability.held_slot(db, request.id)
    if held is not None and held.held_until is not None and held.held_until > ctx.now:
        return False
    _back_to_assignment(
        db, ctx, request, EventType.REQUEST_UNANSWERED, "the consultant did not answer in time"
    )
    return True


def give_up(db: Session, ctx: Context, request_id: UUID) -> bool:
    """Reject a request that nobody could serve by its deadline; its requester is notified once.

    A request whose requester let their hold expire is cancelled, without a notice.
    """
    request = locked_request(db, request_id)
    if request is None or request.status not in {RequestStatus.PENDING, RequestStatus.PENDING_ASSIGNMENT}:
        return False
    if request.status == RequestStatus.PENDING and request.hold_token is not None:
        if request.deadline_at is not None and request.deadline_at > ctx.now:
            return False  # renewed since the sweep read it
        end_hold(db, ctx, request, "hold_expired")
        return True
    ends = [one for one in (request.deadline_at, request.preferred_end_time) if one is not None]
    if ends and min(ends) > ctx.now:
        return False  # asked and declined since the sweep read it
    _end(db, ctx, request, RequestStatus.REJECTED, request.status_reason or "never_looked_at")
    return True


def reject(db: Session, ctx: Context, request: ConsultationRequest, reason: str) -> None:
    """Reject a locked request that nobody will take; its requester is notified once."""
    _end(db, ctx, request, RequestStatus.REJECTED, reason)


def end_hold(db: Session, ctx: Context, request: ConsultationRequest, reason: str) -> None:
    """Release the hold of a locked request, and cancel the request."""
    availability.release_hold(db, ctx, request.id)
    _end(db, ctx, request, RequestStatus.CANCELLED, reason)


def unanswered_requests(db: Session, ctx: Context, limit: int = 200) -> list[UUID]:
    """Return requests whose consultant let the hold expire."""
    return store.unanswered_requests(db, ctx.now, limit)


def overdue_requests(db: Session, ctx: Context, limit: int = 200) -> list[UUID]:
    """Return requests past their deadline."""
    return store.overdue_requests(db, ctx.now, limit)


def _not_answerable(
    db: Session, request: ConsultationRequest, answer: ConfirmRequest | DeclineRequest
) -> AnswerCode | None:
    if request.status != RequestStatus.PENDING_CONFIRMATION:
        return RefusalCode.NOT_WAITING
    if request.assigned_consultant_user_id != answer.consultant_user_id:
        return RefusalCode.NOT_ASSIGNED_CONSULTANT
    if answer.confirmation_request_id is not None:
        waiting = open_confirmation_request(db, request.id, answer.consultant_user_id)
        if waiting is None or waiting.id != answer.confirmation_request_id:
            return RefusalCode.OTHER_CONFIRMATION_REQUEST
    return None


def _back_to_assignment(
    db: Session, ctx: Context, request: ConsultationRequest, event: EventType, reason: str | None
) -> None:
    """Release the hold, exclude the consultant and wait for another one.

    The event still names the consultant, the row then does not. What the consultant wrote stays in the
    history: the request's own reason is shown to the requester.
    """
    availability.release_hold(db, ctx, request.id)
    declined_by = request.assigned_consultant_user_id
    if declined_by is not None:
        request.excluded_consultant_user_ids = [*request.excluded_consultant_user_ids, declined_by]
    reverse_credit(db, ctx, request.id, event)
    requests.transition(
        db,
        ctx,
        request,
        RequestStatus.PENDING_ASSIGNMENT,
        event,
        status_reason=event.removeprefix("request."),
        reason=reason,
    )
    request.assigned_consultant_user_id = None
    db.flush()


def _end(
    db: Session, ctx: Context, request: ConsultationRequest, status: RequestStatus, reason: str | None
) -> None:
    check_step(REQUEST_STEPS, request.status, status)
    if request.status == RequestStatus.PENDING_ASSIGNMENT:
        offers.end_open_offer(db, ctx, request)
    reverse_credit(db, ctx, request.id, f"request.{status}")
    if request.status != RequestStatus.PENDING_CONFIRMATION:
        request.assigned_consultant_user_id = None
    requests.transition(
        db, ctx, request, status, EventType(f"request.{status}"), status_reason=reason, reason=reason
    )


def _outcome(
    result: Result, request: ConsultationRequest, code: AnyCodeT | None = None
) -> RequestOutcome[AnyCodeT]:
    return RequestOutcome(
        result=result,
        code=code,
        request_id=request.id,
        status=RequestStatus(request.status),
        reason=request.status_reason,
        consultant_user_id=request.assigned_consultant_user_id,
        session_id=request.scheduled_session_id,
    )
