"""An offer's life: made as a hold, then accepted, declined, lapsed or withdrawn.

The request is locked first.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.availability.service import NotTaken, Taken
from booking_tasks.context import Occasion
from booking_tasks.credits.service import give, take_back
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest, TimeOffer
from booking_tasks.offers import rules, store
from booking_tasks.outbox import service as history


def busy_with_offers(db: Session, occasion: Occasion, request: ConsultationRequest) -> bool:
    """Whether the request has an open offer, or is left in peace after one that nobody answered."""
    in_peace = request.offer_after is not None and request.offer_after > occasion.now
    return in_peace or store.open_offer(db, request.id) is not None


def offer(
    db: Session, occasion: Occasion, request: ConsultationRequest, consultant_user_id: UUID, start: datetime
) -> Taken | NotTaken:
    """Keep a start for a locked waiting request until it is answered, and tell its requester.

    Codes beside those of every hold: `offer_open` (one at a time, or left in peace), `offered_before`
    (this very start), `too_late` (nobody could answer before it begins).
    """
    if busy_with_offers(db, occasion, request):
        return NotTaken("offer_open")
    until = rules.stands_until(occasion.now, occasion.policies.offer_time, start, request.deadline_at)
    if until <= occasion.now:
        return NotTaken("too_late")
    savepoint, token = db.begin_nested(), uuid7()
    taken = availability.hold(db, occasion, request, consultant_user_id, start, until, token)
    if isinstance(taken, NotTaken):
        savepoint.rollback()
        return taken
    give(db, occasion, request, consultant_user_id)
    request.updated_at = occasion.now
    db.flush()
    told = history.record(
        db,
        occasion,
        "request.offered",
        request=request,
        consultant_user_id=consultant_user_id,
        before={"status": request.status},
        after={
            "status": request.status,
            "start": _text(taken.start),
            "end": _text(taken.end),
            "offered_until": _text(until),
            "hold_token": str(token),
        },
    )
    made = store.added(
        db,
        id=told,
        consultation_request_id=request.id,
        consultant_user_id=consultant_user_id,
        start_time=taken.start,
        end_time=taken.end,
        hold_token=token,
        state="open",
        offered_at=occasion.now,
        offered_until=until,
    )
    if not made:
        savepoint.rollback()
        return NotTaken("offered_before")
    savepoint.commit()
    return taken


def accepted(db: Session, occasion: Occasion, one: TimeOffer) -> None:
    """Note that the offer's hold went on into a booking, or into the question to the consultant."""
    _ended(db, occasion, one, "accepted")


def declined(
    db: Session, occasion: Occasion, request: ConsultationRequest, one: TimeOffer, reason: str | None
) -> None:
    """Give the start back at its requester's word; the request waits on and is looked at again."""
    _given_back(db, occasion, request, one, "declined")
    _record(db, occasion, request, one, "request.offer_declined", reason)


def end_open(db: Session, occasion: Occasion, request: ConsultationRequest) -> bool:
    """End what is offered to a locked request that ends itself; whether there was anything."""
    one = store.open_offer(db, request.id)
    if one is None:
        return False
    if rules.standing(one.state, one.offered_until, occasion.now) == "lapsed":
        _lapsed(db, occasion, request, one)
    else:
        _given_back(db, occasion, request, one, "withdrawn")
    return True


def lapse(db: Session, occasion: Occasion, request: ConsultationRequest) -> bool:
    """Let a locked request's offer go whose time is over; False when it has none such."""
    one = store.open_offer(db, request.id)
    if one is None or rules.standing(one.state, one.offered_until, occasion.now) != "lapsed":
        return False
    if request.status == "pending_assignment":
        _lapsed(db, occasion, request, one)
    else:  # an older release, which knows no offers, served or ended it
        _given_back(db, occasion, request, one, "withdrawn")
    return True


def _lapsed(db: Session, occasion: Occasion, request: ConsultationRequest, one: TimeOffer) -> None:
    _given_back(db, occasion, request, one, "lapsed")
    lapses = store.lapses(db, request.id)
    request.offer_after = occasion.now + rules.peace(lapses, occasion.policies.offer_time)
    _record(db, occasion, request, one, "request.offer_lapsed", None)


def _given_back(
    db: Session, occasion: Occasion, request: ConsultationRequest, one: TimeOffer, state: str
) -> None:
    held = availability.held_slot(db, request.id)
    if held is not None and held.hold_token == one.hold_token:
        availability.release_hold(db, occasion, request.id)
    if request.status == "pending_assignment":
        take_back(db, occasion, request.id, f"offer_{state}")
    _ended(db, occasion, one, state)


def _ended(db: Session, occasion: Occasion, one: TimeOffer, state: str) -> None:
    one.state, one.ended_at = state, occasion.now
    db.flush()


def _record(
    db: Session,
    occasion: Occasion,
    request: ConsultationRequest,
    one: TimeOffer,
    type_: str,
    reason: str | None,
) -> None:
    request.updated_at, request.status_reason = occasion.now, type_.removeprefix("request.")
    db.flush()
    history.record(
        db,
        occasion,
        type_,
        request=request,
        consultant_user_id=one.consultant_user_id,
        before={"status": request.status},
        after={"status": request.status, "start": _text(one.start_time)},
        reason=reason,
    )


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()
