"""Holding, renewing, releasing and confirming a start by token. A hold expires by the clock alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.availability import service as availability
from booking_tasks.availability import store as ledger
from booking_tasks.availability.service import Refusal
from booking_tasks.context import Context
from booking_tasks.contracts import (
    LONGEST_HOLD,
    ConfirmHold,
    HoldOutcome,
    HoldSlot,
    ReleaseHold,
    RenewHold,
)
from booking_tasks.contracts.base import AnyCodeT, Result
from booking_tasks.contracts.holds import ConfirmHoldCode, HoldCode, ReleaseHoldCode, RenewHoldCode
from booking_tasks.enums import RefusalCode, RequestStatus
from booking_tasks.intake import service as intake
from booking_tasks.intake import store as intake_store
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.instants import to_iso
from booking_tasks.kit.savepoints import savepoint
from booking_tasks.models import AvailabilitySlot, ConsultationRequest
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.requests import service as requests
from booking_tasks.requests.store import locked_request
from booking_tasks.sessions import service as sessions

_refused = HoldOutcome[HoldCode].refusal

#: Why the chosen consultant may not be booked -> what to do about it.
_UNFIT: dict[str, str] = {
    RefusalCode.NOT_FOR_COMPANY: "serves other companies; choose another, or set one of them as company_id",
    RefusalCode.AT_CAPACITY: "has as many sessions ahead as they may have; choose another",
}


def hold_slot(db: Session, ctx: Context, command: HoldSlot) -> HoldOutcome[HoldCode]:
    """Insert a request that holds one start of one consultant until its requester confirms."""
    refusal = _command_refusal(db, command)
    if refusal is not None:
        return refusal
    until = min(ctx.now + timedelta(minutes=command.minutes), command.start)
    if until <= ctx.now:
        return _refused(RefusalCode.SLOT_NOT_FREE, "start", "lies in the past; choose one that is offered")
    with savepoint(db) as attempt:
        request = _insert_request(db, ctx, command, until)
        unfit = assignment.chosen_refusal(db, ctx, command.consultant_user_id, command.company_id)
        if unfit is not None:
            attempt.discard()
            return _refused(unfit, "consultant_user_id", _UNFIT[unfit])
        taken = availability.hold_start(
            db, ctx, request, command.consultant_user_id, command.start, until, request.hold_token
        )
        if isinstance(taken, Refusal):
            attempt.discard()
            return HoldOutcome(result="refused", code=taken.code)
    request.preferred_start_time, request.preferred_end_time = taken.start, taken.end
    db.flush()
    _record(db, ctx, request, taken.start, until)
    return _outcome("done", request, availability.held_slot(db, request.id))


def _command_refusal(db: Session, command: HoldSlot) -> HoldOutcome[HoldCode] | None:
    service_type = ledger.service_type(db, command.service_type_id)
    if service_type is None:
        return _refused(RefusalCode.UNKNOWN_SERVICE_TYPE, "service_type_id", "names no service type")
    if not service_type.is_active:
        return _refused(RefusalCode.SERVICE_TYPE_INACTIVE, "service_type_id", "is not offered any more")
    if not intake_store.consultant_exists(db, command.consultant_user_id):
        return _refused(RefusalCode.UNKNOWN_CONSULTANT, "consultant_user_id", "names no consultant")
    if command.consultant_user_id == command.requester_user_id:
        return _refused(
            RefusalCode.IS_THE_REQUESTER, "consultant_user_id", "is the requester; choose another"
        )
    if intake_store.request_exists(db, command.request_id):
        return _refused(RefusalCode.REQUEST_EXISTS, "request_id", "is in use; choose a new one")
    return None


def _insert_request(db: Session, ctx: Context, command: HoldSlot, until: datetime) -> ConsultationRequest:
    request = ConsultationRequest(
        id=command.request_id,
        requester_user_id=command.requester_user_id,
        company_id=command.company_id,
        consultation_service_type_id=command.service_type_id,
        preferred_consultant_user_id=command.consultant_user_id,
        required_specializations=[],
        excluded_consultant_user_ids=[],
        request_details=command.details,
        status=RequestStatus.PENDING,
        requested_at=ctx.now,
        deadline_at=until,
        hold_token=uuid7(),
    )
    db.add(request)
    db.flush()
    return request


def renew_hold(db: Session, ctx: Context, command: RenewHold) -> HoldOutcome[RenewHoldCode]:
    """Extend a live hold; an expired one stays expired, even when its start is still free."""
    request = _locked_by_token(db, command.request_id, command.hold_token)
    if request is None:
        return HoldOutcome(result="refused", code=RefusalCode.UNKNOWN_HOLD)
    held = availability.held_slot(db, request.id)
    refusal = _hold_refusal(ctx, request, held)
    if refusal is not None or held is None or held.session_start_time is None or held.held_until is None:
        return _outcome("refused", request, held, refusal or RefusalCode.HOLD_EXPIRED)
    longest = (request.requested_at or ctx.now) + LONGEST_HOLD
    until = min(ctx.now + timedelta(minutes=command.minutes), longest, held.session_start_time)
    if until <= held.held_until:
        longer = ctx.now + timedelta(minutes=command.minutes) > held.held_until
        return _outcome(
            "refused" if longer else "already_done",
            request,
            held,
            RefusalCode.LONGEST_HOLD if longer else None,
        )
    before = _hold_state(request, held.session_start_time, held.held_until)
    if not availability.extend_hold(db, ctx, request.id, until):
        return _outcome("refused", request, held, RefusalCode.HOLD_EXPIRED)
    request.deadline_at, request.updated_at = until, ctx.now
    db.flush()
    _record(db, ctx, request, held.session_start_time, until, before=before)
    return _outcome("done", request, availability.held_slot(db, request.id))


def release_hold(db: Session, ctx: Context, command: ReleaseHold) -> HoldOutcome[ReleaseHoldCode]:
    """Release a hold, live or expired; its start is free at once."""
    request = _locked_by_token(db, command.request_id, command.hold_token)
    if request is None:
        return HoldOutcome(result="refused", code=RefusalCode.UNKNOWN_HOLD)
    if request.status == RequestStatus.CANCELLED:
        return _outcome("already_done", request, None)
    if request.status != RequestStatus.PENDING:
        return _outcome("refused", request, None, RefusalCode.NOT_HELD)
    intake.end_hold(db, ctx, request, "released")
    return _outcome("done", request, None)


def confirm_hold(db: Session, ctx: Context, command: ConfirmHold) -> HoldOutcome[ConfirmHoldCode]:
    """Book the held start, or ask the consultant where they confirm each booking."""
    request = _locked_by_token(db, command.request_id, command.hold_token)
    if request is None:
        return HoldOutcome(result="refused", code=RefusalCode.UNKNOWN_HOLD)
    held = availability.held_slot(db, request.id)
    if request.status in {RequestStatus.SCHEDULED, RequestStatus.PENDING_CONFIRMATION}:
        return _outcome("already_done", request, held)
    refusal = _hold_refusal(ctx, request, held)
    if (
        refusal is not None
        or held is None
        or held.session_start_time is None
        or held.session_end_time is None
    ):
        return _outcome("refused", request, held, refusal or RefusalCode.HOLD_EXPIRED)
    who, start, end = held.consultant_user_id, held.session_start_time, held.session_end_time
    ledger.lock_consultant(db, who)  # their policy cannot change from here on
    if ledger.confirming_consultants(db, [who], request.consultation_service_type_id, ctx.now):
        if not requests.request_confirmation(db, ctx, request, who, start, end):
            return _outcome("refused", request, held, RefusalCode.HOLD_EXPIRED)
        assignment.record_requester_choice(db, ctx, request, start)
    elif not _book(db, ctx, request, who, start, end):
        return _outcome("refused", request, held, RefusalCode.HOLD_EXPIRED)
    return _outcome("done", request, availability.held_slot(db, request.id), start=start, end=end)


def _book(
    db: Session, ctx: Context, request: ConsultationRequest, who: UUID, start: datetime, end: datetime
) -> bool:
    """Turn the hold into the booking; False when it has expired."""
    booked = sessions.schedule(
        db,
        ctx,
        request,
        who,
        start,
        end,
        from_hold=True,
        decision=assignment.requester_choice(ctx, request, start),
    )
    return not isinstance(booked, Refusal)


def _locked_by_token(db: Session, request_id: UUID, token: UUID) -> ConsultationRequest | None:
    """Return the locked request if the token is that of its hold."""
    request = locked_request(db, request_id)
    return request if request is not None and request.hold_token == token else None


def _hold_refusal(
    ctx: Context, request: ConsultationRequest, held: AvailabilitySlot | None
) -> Literal[RefusalCode.HOLD_EXPIRED, RefusalCode.NOT_HELD] | None:
    if request.status != RequestStatus.PENDING:
        ended_by_clock = request.status_reason == RefusalCode.HOLD_EXPIRED
        return RefusalCode.HOLD_EXPIRED if ended_by_clock else RefusalCode.NOT_HELD
    live = held is not None and held.held_until is not None and held.held_until > ctx.now
    return None if live else RefusalCode.HOLD_EXPIRED


def _record(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    start: datetime,
    until: datetime,
    before: dict[str, str] | None = None,
) -> None:
    outbox.record_event(
        db,
        ctx,
        EventType.REQUEST_HELD,
        request=request,
        before=before,
        after=_hold_state(request, start, until),
    )


def _hold_state(request: ConsultationRequest, start: datetime, until: datetime) -> dict[str, str]:
    return {
        "status": request.status,
        "start": to_iso(start),
        "held_until": to_iso(until),
    }


def _outcome(
    result: Result,
    request: ConsultationRequest,
    held: AvailabilitySlot | None,
    code: AnyCodeT | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> HoldOutcome[AnyCodeT]:
    return HoldOutcome(
        result=result,
        code=code,
        request_id=request.id,
        hold_token=request.hold_token,
        status=RequestStatus(request.status),
        session_id=request.scheduled_session_id,
        start=start or (held.session_start_time if held else None),
        end=end or (held.session_end_time if held else None),
        held_until=held.held_until if held else None,
    )
