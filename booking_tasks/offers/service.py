"""Making offers, each with a hold, and accepting, declining, expiring or withdrawing them.

The request is locked first.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.availability.service import Refusal, Reservation
from booking_tasks.context import Context
from booking_tasks.credits.service import grant_credit, reverse_credit
from booking_tasks.enums import OfferState, RequestStatus
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.instants import to_iso
from booking_tasks.kit.savepoints import savepoint
from booking_tasks.models import ConsultationRequest, TimeOffer
from booking_tasks.offers import rules, store
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.states import OFFER_STEPS, check_step


def has_offer_or_cooldown(db: Session, ctx: Context, request: ConsultationRequest) -> bool:
    """Return whether the request has an open offer, or a pause after one that was not answered."""
    has_cooldown = request.offer_cooldown_until is not None and request.offer_cooldown_until > ctx.now
    return has_cooldown or store.open_offer(db, request.id) is not None


def offer_start(
    db: Session, ctx: Context, request: ConsultationRequest, consultant_user_id: UUID, start: datetime
) -> Reservation | Refusal:
    """Hold a start for a locked waiting request until it is answered, and notify its requester.

    Codes beside those of every hold: `offer_open` (one at a time, or in the pause after one),
    `offered_before` (this very start), `too_late` (nobody could answer before it begins).
    """
    if has_offer_or_cooldown(db, ctx, request):
        return Refusal("offer_open")
    until = rules.offer_end(ctx.now, ctx.policies.offer_time, start, request.deadline_at)
    if until <= ctx.now:
        return Refusal("too_late")
    token = uuid7()
    with savepoint(db) as attempt:
        taken = availability.hold_start(db, ctx, request, consultant_user_id, start, until, token)
        if isinstance(taken, Refusal):
            attempt.discard()
            return taken
        grant_credit(db, ctx, request, consultant_user_id)
        if not _insert_offer(db, ctx, request, consultant_user_id, taken, until, token):
            attempt.discard()
            return Refusal("offered_before")
    return taken


def _insert_offer(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    taken: Reservation,
    until: datetime,
    token: UUID,
) -> bool:
    """Record the offer of a held start; return whether this start was never offered to the request before."""
    request.updated_at = ctx.now
    db.flush()
    event_id = outbox.record_event(
        db,
        ctx,
        EventType.REQUEST_OFFERED,
        request=request,
        consultant_user_id=consultant_user_id,
        before={"status": request.status},
        after={
            "status": request.status,
            "start": to_iso(taken.start),
            "end": to_iso(taken.end),
            "offered_until": to_iso(until),
            "hold_token": str(token),
        },
    )
    return store.insert_offer(
        db,
        id=event_id,
        consultation_request_id=request.id,
        consultant_user_id=consultant_user_id,
        start_time=taken.start,
        end_time=taken.end,
        hold_token=token,
        state=OfferState.OPEN,
        offered_at=ctx.now,
        offered_until=until,
    )


def mark_accepted(db: Session, ctx: Context, one: TimeOffer) -> None:
    """Record that the offer's hold became a booking, or waits for the consultant's confirmation."""
    _set_state(db, ctx, one, OfferState.ACCEPTED)


def decline(
    db: Session, ctx: Context, request: ConsultationRequest, one: TimeOffer, reason: str | None
) -> None:
    """Decline an offer for its requester: the start is released, and the request is assigned again."""
    _release(db, ctx, request, one, OfferState.DECLINED)
    _record(db, ctx, request, one, EventType.REQUEST_OFFER_DECLINED, reason)


def end_open_offer(db: Session, ctx: Context, request: ConsultationRequest) -> bool:
    """End the open offer of a locked request that ends itself; return whether there was one."""
    one = store.open_offer(db, request.id)
    if one is None:
        return False
    if rules.effective_state(one.state, one.offered_until, ctx.now) == OfferState.LAPSED:
        _lapse(db, ctx, request, one)
    else:
        _release(db, ctx, request, one, OfferState.WITHDRAWN)
    return True


def lapse(db: Session, ctx: Context, request: ConsultationRequest) -> bool:
    """Let the open offer of a locked request lapse; False when its time is not over, or there is none."""
    one = store.open_offer(db, request.id)
    if one is None or rules.effective_state(one.state, one.offered_until, ctx.now) != OfferState.LAPSED:
        return False
    if request.status == RequestStatus.PENDING_ASSIGNMENT:
        _lapse(db, ctx, request, one)
    else:  # an older release, which knows no offers, served or ended it
        _release(db, ctx, request, one, OfferState.WITHDRAWN)
    return True


def _lapse(db: Session, ctx: Context, request: ConsultationRequest, one: TimeOffer) -> None:
    _release(db, ctx, request, one, OfferState.LAPSED)
    lapses = store.lapse_count(db, request.id)
    request.offer_cooldown_until = ctx.now + rules.cooldown(lapses, ctx.policies.offer_time)
    _record(db, ctx, request, one, EventType.REQUEST_OFFER_LAPSED, None)


def _release(
    db: Session, ctx: Context, request: ConsultationRequest, one: TimeOffer, state: OfferState
) -> None:
    held = availability.held_slot(db, request.id)
    if held is not None and held.hold_token == one.hold_token:
        availability.release_hold(db, ctx, request.id)
    if request.status == RequestStatus.PENDING_ASSIGNMENT:
        reverse_credit(db, ctx, request.id, f"offer_{state}")
    _set_state(db, ctx, one, state)


def _set_state(db: Session, ctx: Context, one: TimeOffer, state: OfferState) -> None:
    check_step(OFFER_STEPS, one.state, state)
    one.state, one.ended_at = state, ctx.now
    db.flush()


def _record(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    one: TimeOffer,
    type_: EventType,
    reason: str | None,
) -> None:
    request.updated_at, request.status_reason = ctx.now, type_.removeprefix("request.")
    db.flush()
    outbox.record_event(
        db,
        ctx,
        type_,
        request=request,
        consultant_user_id=one.consultant_user_id,
        before={"status": request.status},
        after={"status": request.status, "start": to_iso(one.start_time)},
        reason=reason,
    )
