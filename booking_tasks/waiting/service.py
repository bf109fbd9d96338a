"""The answers to offers, and the end of an offer without one."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability import store as ledger
from booking_tasks.availability.service import Refusal
from booking_tasks.context import Context
from booking_tasks.contracts import AcceptOffer, DeclineOffer, HoldOutcome
from booking_tasks.contracts.base import Result
from booking_tasks.contracts.offers import OfferCode
from booking_tasks.enums import OfferState, RefusalCode, RequestStatus
from booking_tasks.models import ConsultationRequest, TimeOffer
from booking_tasks.offers import service as offers
from booking_tasks.offers import store as offer_store
from booking_tasks.offers.rules import effective_state
from booking_tasks.requests import service as requests
from booking_tasks.requests.store import locked_request
from booking_tasks.sessions import service as sessions


def accept_offer(db: Session, ctx: Context, command: AcceptOffer) -> HoldOutcome[OfferCode]:
    """Accept an offer: book its start, or request confirmation where the consultant confirms bookings."""
    found = _open(db, ctx, command, OfferState.ACCEPTED)
    if isinstance(found, HoldOutcome):
        return found
    request, one = found
    who, start = one.consultant_user_id, one.start_time
    ledger.lock_consultant(db, who)  # their policy cannot change from here on
    if ledger.confirming_consultants(db, [who], request.consultation_service_type_id, ctx.now):
        taken = requests.request_confirmation(db, ctx, request, who, start, one.end_time)
    else:
        booked = sessions.schedule(db, ctx, request, who, start, one.end_time, from_hold=True)
        taken = not isinstance(booked, Refusal)
    if not taken:
        return _outcome("refused", request, one, RefusalCode.OFFER_EXPIRED)
    offers.mark_accepted(db, ctx, one)
    return _outcome("done", request, one)


def decline_offer(db: Session, ctx: Context, command: DeclineOffer) -> HoldOutcome[OfferCode]:
    """Decline an offer: its start is free for others, and the request goes on waiting."""
    found = _open(db, ctx, command, OfferState.DECLINED)
    if isinstance(found, HoldOutcome):
        return found
    request, one = found
    offers.decline(db, ctx, request, one, command.reason)
    return _outcome("done", request, one)


def _open(
    db: Session, ctx: Context, command: AcceptOffer | DeclineOffer, final_state: OfferState
) -> tuple[ConsultationRequest, TimeOffer] | HoldOutcome[OfferCode]:
    """The locked request and its open offer, or the outcome where the offer is not open any more."""
    request = locked_request(db, command.request_id)
    one = offer_store.offer_by_token(db, command.request_id, command.hold_token)
    if request is None or one is None:
        problem = "names no offer to this request; take it from the latest request.offered"
        return HoldOutcome[OfferCode].refusal(RefusalCode.UNKNOWN_OFFER, "hold_token", problem)
    state = effective_state(one.state, one.offered_until, ctx.now)
    if state == OfferState.OPEN:
        return request, one
    if state == final_state:
        return _outcome("already_done", request, one)
    code: OfferCode = RefusalCode.OFFER_EXPIRED if state == OfferState.LAPSED else RefusalCode.OFFER_OVER
    return _outcome("refused", request, one, code)


def _outcome(
    result: Result, request: ConsultationRequest, one: TimeOffer, code: OfferCode | None = None
) -> HoldOutcome[OfferCode]:
    return HoldOutcome(
        result=result,
        code=code,
        request_id=request.id,
        hold_token=one.hold_token,
        status=RequestStatus(request.status),
        session_id=request.scheduled_session_id,
        start=one.start_time,
        end=one.end_time,
        held_until=one.offered_until if one.state == OfferState.OPEN else None,
    )


def lapsed(db: Session, ctx: Context, limit: int = 200) -> list[UUID]:
    """Requests with an open offer whose time is over."""
    return offer_store.requests_with_lapsed_offers(db, ctx.now, limit)


def lapse(db: Session, ctx: Context, request_id: UUID) -> bool:
    """Lapse an offer whose time is over; its start is free for others, and is not offered again."""
    request = locked_request(db, request_id)
    return request is not None and offers.lapse(db, ctx, request)
