"""The answers of those who were offered time, and what follows when there is none."""

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
    """Book what was offered, or ask the consultant who confirms themselves."""
    found = _open(db, ctx, command, "accepted")
    if isinstance(found, HoldOutcome):
        return found
    request, one = found
    who, start = one.consultant_user_id, one.start_time
    ledger.lock_consultant(db, who)  # what they want of a booking holds good from here on
    if ledger.confirming_consultants(db, [who], request.consultation_service_type_id, ctx.now):
        taken = requests.request_confirmation(db, ctx, request, who, start, one.end_time)
    else:
        agreed = sessions.schedule(db, ctx, request, who, start, one.end_time, from_hold=True)
        taken = not isinstance(agreed, Refusal)
    if not taken:
        return _outcome("refused", request, one, RefusalCode.OFFER_EXPIRED)
    offers.mark_accepted(db, ctx, one)
    return _outcome("done", request, one)


def decline_offer(db: Session, ctx: Context, command: DeclineOffer) -> HoldOutcome[OfferCode]:
    """Leave what was offered to others; the request waits on."""
    found = _open(db, ctx, command, "declined")
    if isinstance(found, HoldOutcome):
        return found
    request, one = found
    offers.decline(db, ctx, request, one, command.reason)
    return _outcome("done", request, one)


def _open(
    db: Session, ctx: Context, command: AcceptOffer | DeclineOffer, wanted: str
) -> tuple[ConsultationRequest, TimeOffer] | HoldOutcome[OfferCode]:
    """The locked request and its open offer, or the answer where it is not open any more."""
    request = locked_request(db, command.request_id)
    one = offer_store.offer_by_token(db, command.request_id, command.hold_token)
    if request is None or one is None:
        problem = "names no offer to this request; take it from the latest request.offered"
        return HoldOutcome[OfferCode].refusal(RefusalCode.UNKNOWN_OFFER, "hold_token", problem)
    state = effective_state(one.state, one.offered_until, ctx.now)
    if state == OfferState.OPEN:
        return request, one
    if state == wanted:
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
    """Requests that let an offer run out."""
    return offer_store.requests_with_lapsed_offers(db, ctx.now, limit)


def lapse(db: Session, ctx: Context, request_id: UUID) -> bool:
    """Let an offer go whose time is over; its start goes to the next, and nobody is asked twice."""
    request = locked_request(db, request_id)
    return request is not None and offers.lapse(db, ctx, request)
