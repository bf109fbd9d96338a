"""Asking those who wait about free time, and their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks import history
from booking_tasks.assignment import service as assignment
from booking_tasks.assignment.rules import Candidate
from booking_tasks.availability import service as availability
from booking_tasks.availability import store as ledger
from booking_tasks.availability.service import NotTaken
from booking_tasks.contracts import AcceptOffer, DeclineOffer, HoldOutcome
from booking_tasks.freed import note_freed
from booking_tasks.intake.rules import answer_until
from booking_tasks.models import Consultant, ConsultationRequest, ServiceType, TimeOffer
from booking_tasks.occasion import Occasion
from booking_tasks.offers import service as offers
from booking_tasks.offers import store as offer_store
from booking_tasks.offers.rules import standing
from booking_tasks.sessions import service as sessions
from booking_tasks.sessions.rules import REQUEST_STEPS, check_step
from booking_tasks.sessions.store import locked_request
from booking_tasks.waiting import store
from booking_tasks.waiting.rules import Span, Wish, matches

_INSTANT = timedelta(microseconds=1)
#: More free starts of one consultant and kind are not looked at in one go.
_MOST_STARTS = 5000
#: Refusals that are about the request; every other one is about the start, and holds for everyone.
_OF_THE_REQUEST = frozenset({"not_waiting", "offer_open", "offered_before", "requester_busy"})


# -- asking ------------------------------------------------------------------------------------------------


def offer_freed(db: Session, occasion: Occasion, consultant_user_id: UUID) -> UUID | None:
    """Give one free start of a consultant to the best of those who wait; the request's id, or None.

    One in a transaction, because a request is locked before any consultant: what is left for others is
    noted again. Whoever is overtaken goes on to the next start or the next request.
    """
    consultant = store.consultant(db, consultant_user_id)
    if consultant is None or not consultant.is_available_for_booking:
        return None
    waiting = store.waiting_requests(db, occasion.now)
    aliases = assignment.aliases_for(db, [consultant], waiting)
    requests = {
        one.id: one for one in waiting if assignment.unfit(consultant, one, aliases, occasion.now) is None
    }
    kinds = store.active_kinds(db, {one.consultation_service_type_id for one in requests.values()})
    wishes = [one for one in _wishes(db, occasion, consultant, requests) if one.service_type_id in kinds]
    if not wishes:
        return None
    starts = {kind: _starts(db, occasion, consultant, kind, wishes) for kind in kinds}
    gone: set[tuple[UUID, datetime]] = set()
    for wish, start, end in matches(wishes, starts):
        kind = kinds[wish.service_type_id]
        if (kind.id, start) in gone:
            continue
        given = _given(db, occasion, wish, kind, consultant, (start, end))
        if isinstance(given, NotTaken):
            if given.code not in _OF_THE_REQUEST:
                gone.add((kind.id, start))
            continue
        if len(wishes) > 1:
            note_freed(db, occasion, [consultant_user_id], "more")
        return wish.request_id
    return None


def _wishes(
    db: Session, occasion: Occasion, consultant: Consultant, requests: Mapping[UUID, ConsultationRequest]
) -> list[Wish]:
    who = consultant.consultant_user_id
    busy = store.busy_spans(db, {one.requester_user_id for one in requests.values()}, occasion.now)
    asked = store.asked_starts(db, requests.keys(), who)
    return [
        Wish(
            request_id=one.id,
            service_type_id=one.consultation_service_type_id,
            prefers_this_consultant=one.preferred_consultant_user_id == who,
            waiting_since=one.waiting_since or one.requested_at,
            earliest=one.preferred_start_time,
            latest_end=one.preferred_end_time,
            busy=busy.get(one.requester_user_id, ()),
            asked=asked.get(one.id, frozenset()),
        )
        for one in requests.values()
    ]


def _starts(
    db: Session, occasion: Occasion, consultant: Consultant, kind_id: UUID, wishes: Sequence[Wish]
) -> list[Span]:
    """The consultant's free starts in all that the wishes of a kind could use, as the one judge has them."""
    ours = [one for one in wishes if one.service_type_id == kind_id]
    soonest = occasion.now + _INSTANT  # an offer ends where its session starts
    horizon = occasion.now + occasion.policies.horizon
    start = max(soonest, min(one.earliest or soonest for one in ours))
    end = max(one.latest_end or horizon for one in ours)
    who = consultant.consultant_user_id
    found = ledger.free_starts(db, [who], kind_id, start, end, occasion.now, _MOST_STARTS)
    return [(begins, ends) for _, begins, ends in found]


def _given(
    db: Session, occasion: Occasion, wish: Wish, kind: ServiceType, consultant: Consultant, span: Span
) -> assignment.Assigned | NotTaken:
    """Give a start to a request, once it is locked and waits still; else all locks come back."""
    who, (start, end) = consultant.consultant_user_id, span
    savepoint = db.begin_nested()
    request = locked_request(db, wish.request_id)
    given: assignment.Assigned | NotTaken = NotTaken("not_waiting")
    if (
        request is not None
        and _waits(db, occasion, request)
        and assignment.unfit(
            consultant, request, assignment.aliases_for(db, [consultant], [request]), occasion.now
        )
        is None
    ):
        asking = ledger.needing_confirmation(db, [who], kind.id, occasion.now)
        candidate = Candidate(
            who,
            wish.prefers_this_consultant,
            0,
            starts=(span,),
            must_confirm=who in asking,
            capacity=consultant.assignment_capacity,
        )
        given = assignment.give_start(db, occasion, request, kind, candidate, start, end)
        if not isinstance(given, NotTaken):
            assignment.decide(db, occasion, request, [candidate], given, candidate, start)
            savepoint.commit()
            return given
    savepoint.rollback()
    return given


def _waits(db: Session, occasion: Occasion, request: ConsultationRequest) -> bool:
    ends = (request.deadline_at, request.preferred_end_time)
    return (
        request.status == "pending_assignment"
        and request.waiting_since is not None
        and all(end is None or end > occasion.now for end in ends)
        and not offers.busy_with_offers(db, occasion, request)
    )


# -- answers -----------------------------------------------------------------------------------------------


def accept_offer(db: Session, occasion: Occasion, command: AcceptOffer) -> HoldOutcome:
    """Book what was offered, or ask the consultant who confirms themselves."""
    found = _open(db, occasion, command, "accepted")
    if isinstance(found, HoldOutcome):
        return found
    request, one = found
    who, start = one.consultant_user_id, one.start_time
    if ledger.needing_confirmation(db, [who], request.consultation_service_type_id, occasion.now):
        taken = _asked(db, occasion, request, who, (start, one.end_time))
    else:
        agreed = sessions.agree(db, occasion, request, who, start, one.end_time, from_hold=True)
        taken = not isinstance(agreed, NotTaken)
    if not taken:
        return _outcome("refused", request, one, "offer_expired")
    offers.accepted(db, occasion, one)
    return _outcome("done", request, one)


def decline_offer(db: Session, occasion: Occasion, command: DeclineOffer) -> HoldOutcome:
    """Leave what was offered to others; the request waits on."""
    found = _open(db, occasion, command, "declined")
    if isinstance(found, HoldOutcome):
        return found
    request, one = found
    offers.declined(db, occasion, request, one, command.reason)
    return _outcome("done", request, one)


def _open(
    db: Session, occasion: Occasion, command: AcceptOffer | DeclineOffer, wanted: str
) -> tuple[ConsultationRequest, TimeOffer] | HoldOutcome:
    """The locked request and its open offer, or the answer where it is not open any more."""
    request = locked_request(db, command.request_id)
    one = offer_store.of_token(db, command.request_id, command.hold_token)
    if request is None or one is None:
        problem = "names no offer to this request; take it from the latest request.offered"
        return HoldOutcome.refusal("unknown_offer", "hold_token", problem)
    state = standing(one.state, one.offered_until, occasion.now)
    if state == "open":
        return request, one
    if state == wanted:
        return _outcome("already_done", request, one)
    return _outcome("refused", request, one, "offer_expired" if state == "lapsed" else "offer_over")


def _asked(db: Session, occasion: Occasion, request: ConsultationRequest, who: UUID, span: Span) -> bool:
    """From now on the hold is the consultant's to answer; False when it is over."""
    start, end = span
    kind = ledger.service_type(db, request.consultation_service_type_id)
    minutes = None if kind is None else kind.confirmation_minutes
    until = answer_until(occasion.now, minutes, occasion.policies.confirmation_deadline, start)
    if not availability.prolong_hold(db, occasion, request.id, until):
        return False
    before = request.status
    check_step(REQUEST_STEPS, before, "pending_confirmation")
    request.status, request.status_reason = "pending_confirmation", None
    request.assigned_consultant_user_id, request.updated_at = who, occasion.now
    db.flush()
    history.record(
        db, occasion, "request.confirmation_wanted", request=request,
        before={"status": before},
        after={
            "status": request.status, "start": start.isoformat(), "end": end.isoformat(),
            "until": until.isoformat(),
        },
    )  # fmt: skip
    return True


def _outcome(
    result: Any, request: ConsultationRequest, one: TimeOffer, code: str | None = None
) -> HoldOutcome:
    return HoldOutcome(
        result=result,
        code=code,
        request_id=request.id,
        hold_token=one.hold_token,
        status=request.status,
        session_id=request.scheduled_session_id,
        start=one.start_time,
        end=one.end_time,
        held_until=one.offered_until if one.state == "open" else None,
    )


# -- no answer ---------------------------------------------------------------------------------------------


def lapsed(db: Session, occasion: Occasion, limit: int = 200) -> list[UUID]:
    """Requests that let an offer run out."""
    return offer_store.requests_of_lapsed(db, occasion.now, limit)


def lapse(db: Session, occasion: Occasion, request_id: UUID) -> bool:
    """Let an offer go whose time is over; its start goes to the next, and nobody is asked twice."""
    request = locked_request(db, request_id)
    return request is not None and offers.lapse(db, occasion, request)
