"""Assigning a request: look at everyone, try the best first, take the time in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks import history
from booking_tasks.assignment import store
from booking_tasks.assignment.credits import give
from booking_tasks.assignment.rules import ALL_DECLINED, POLICY_VERSION, Candidate, ranked, why_nobody
from booking_tasks.availability import service as availability
from booking_tasks.availability import store as ledger
from booking_tasks.availability.rules import has_specializations
from booking_tasks.availability.service import NotTaken
from booking_tasks.intake import service as intake
from booking_tasks.intake.questions import who_declined
from booking_tasks.intake.rules import answer_until
from booking_tasks.models import Consultant, ConsultationRequest, ServiceType
from booking_tasks.occasion import Occasion
from booking_tasks.offers import service as offers
from booking_tasks.sessions import service as sessions
from booking_tasks.sessions import store as session_store
from booking_tasks.sessions.rules import REQUEST_STEPS, NewRequest, check_step

#: How many starts of one consultant are tried before the next candidate's turn.
STARTS_EACH = 5
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Assigned:
    """What became of the look: `scheduled`, `asked` (a consultant must confirm), `offered` (to one who

    was told to wait), `waiting`, `rejected` (nobody is left to ask), or `nothing` to do (the request is no
    longer waiting, or has an offer).
    """

    result: Literal["scheduled", "asked", "offered", "waiting", "rejected", "nothing"]
    consultant_user_id: UUID | None = None
    reason: str | None = None


def assign(db: Session, occasion: Occasion, request_id: UUID) -> Assigned:
    """Find a consultant and a time for one waiting request and take them; store why.

    A request whose time is over is left to the sweep that ends it, whichever of the two comes first.
    """
    request = session_store.locked_request(db, request_id)
    if request is None or request.status not in {"pending", "pending_assignment"}:
        return Assigned("nothing")
    if request.status == "pending" and request.hold_token is not None:
        return Assigned("nothing")
    if request.deadline_at is None:
        request.deadline_at = request.requested_at + occasion.policies.assignment_deadline
    over = min(request.deadline_at, request.preferred_end_time or request.deadline_at) <= occasion.now
    if over or (request.waiting_since is not None and offers.busy_with_offers(db, occasion, request)):
        return Assigned("nothing")
    kind = ledger.service_type(db, request.consultation_service_type_id)
    if kind is None or not kind.is_active:
        return _wait(db, occasion, request, [], "service_type_inactive")
    found = {one.consultant_user_id: one for one in candidates(db, occasion, request, kind)}
    for candidate in ranked(found.values()):
        for start, end in candidate.starts:
            taken = give_start(db, occasion, request, kind, candidate, start, end)
            if not isinstance(taken, NotTaken):
                decide(db, occasion, request, list(found.values()), taken, candidate, start)
                return taken
            reason = "requester_busy" if taken.code == "requester_busy" else "lost_the_race"
            found[candidate.consultant_user_id] = replace(candidate, rejected=reason)
    return _nobody(db, occasion, request, kind, list(found.values()))


def choice_of_requester(
    occasion: Occasion, request: ConsultationRequest | NewRequest, start: datetime
) -> dict[str, Any]:
    """The decision of a booking whose consultant and start the requester chose, to be written with it."""
    return {
        "consultation_request_id": request.id,
        "decided_at": occasion.now,
        "policy_version": POLICY_VERSION,
        "consultant_user_id": request.preferred_consultant_user_id,
        "start_time": start,
        "reason": "chosen_by_requester",
        "inputs": {"preferred_consultant_user_id": str(request.preferred_consultant_user_id)},
        "candidates": [],
    }


def chosen_by_requester(
    db: Session, occasion: Occasion, request: ConsultationRequest, start: datetime
) -> None:
    """Keep that decision where nothing is booked yet."""
    store.add_decision(db, **choice_of_requester(occasion, request, start))


def waiting(db: Session, occasion: Occasion, limit: int = 100) -> list[UUID]:
    """Requests to look at again."""
    return store.waiting_requests(db, occasion.now, limit)


def candidates(
    db: Session, occasion: Occasion, request: ConsultationRequest, kind: ServiceType
) -> list[Candidate]:
    """Everyone, with their load and free starts, or the first reason why not."""
    people = store.everyone(db)
    reasons = {one.consultant_user_id: unfit(one, request) for one in people}
    fit = [who for who, reason in reasons.items() if reason is None]
    loads = store.loads(db, fit, occasion.now)
    # A hold ends where its session starts: who is asked needs some time before that.
    asking = ledger.needing_confirmation(db, fit, kind.id, occasion.now)
    earliest = occasion.now + _INSTANT if asking or request.waiting_since else occasion.now
    start = max(earliest, request.preferred_start_time or earliest)
    end = request.preferred_end_time or occasion.now + occasion.policies.horizon
    first = store.first_free_starts(db, fit, request, start, end, occasion.now, STARTS_EACH)
    return [
        Candidate(
            consultant_user_id=who,
            preferred=who == request.preferred_consultant_user_id,
            load=loads.get(who, 0),
            starts=tuple(first.by_consultant.get(who, ())),
            rejected=reason or _without_start(who, first),
            must_confirm=who in asking,
        )
        for who, reason in reasons.items()
    ]


def _without_start(who: UUID, first: store.FirstStarts) -> str | None:
    if who in first.by_consultant:
        return None
    return "requester_busy" if who in first.requester_busy else "no_free_time"


def unfit(consultant: Consultant, request: ConsultationRequest) -> str | None:
    """Why a consultant can never serve a request, whatever the time; None when they can."""
    if not consultant.is_available_for_booking:
        return "not_available_for_booking"
    if consultant.consultant_user_id == request.requester_user_id:
        return "is_the_requester"
    if not has_specializations(consultant.specializations, request.required_specializations):
        return "missing_specialization"
    if consultant.consultant_user_id in request.excluded_consultant_user_ids:
        return "excluded"
    return None


def give_start(
    db: Session,
    occasion: Occasion,
    request: ConsultationRequest,
    kind: ServiceType,
    candidate: Candidate,
    start: datetime,
    end: datetime,
) -> Assigned | NotTaken:
    """Give a start that was found to a locked request: the one way, whoever found it.

    Who was told to wait may have made other plans: where the kind says so, they are asked first.
    """
    if request.waiting_since is None or kind.waiting_list == "book":
        return take(db, occasion, request, candidate, start, end)
    taken = offers.offer(db, occasion, request, candidate.consultant_user_id, start)
    return taken if isinstance(taken, NotTaken) else Assigned("offered", candidate.consultant_user_id)


def take(
    db: Session,
    occasion: Occasion,
    request: ConsultationRequest,
    candidate: Candidate,
    start: datetime,
    end: datetime,
) -> Assigned | NotTaken:
    """Book, or hold where the consultant must confirm. A lost race gives its locks back."""
    who = candidate.consultant_user_id
    savepoint = db.begin_nested()
    if not candidate.must_confirm:
        agreed = sessions.agree(db, occasion, request, who, start, end)
        if isinstance(agreed, NotTaken):
            savepoint.rollback()
            return agreed
        give(db, occasion, request, who)
        savepoint.commit()
        return Assigned("scheduled", who)
    until = _answer_until(db, occasion, request, start)
    taken = availability.hold(db, occasion, request, who, start, until)
    if isinstance(taken, NotTaken):
        savepoint.rollback()
        return taken
    before = request.status
    check_step(REQUEST_STEPS, before, "pending_confirmation")
    request.status, request.status_reason = "pending_confirmation", None
    request.assigned_consultant_user_id = who
    request.updated_at = occasion.now
    give(db, occasion, request, who)
    savepoint.commit()
    history.record(
        db, occasion, "request.confirmation_wanted", request=request,
        before={"status": before},
        after={
            "status": request.status, "start": taken.start.isoformat(), "end": taken.end.isoformat(),
            "until": until.isoformat(),
        },
    )  # fmt: skip
    return Assigned("asked", who)


def _answer_until(db: Session, occasion: Occasion, request: ConsultationRequest, start: datetime) -> datetime:
    kind = ledger.service_type(db, request.consultation_service_type_id)
    minutes = None if kind is None else kind.confirmation_minutes
    return answer_until(occasion.now, minutes, occasion.policies.confirmation_deadline, start)


def _nobody(
    db: Session,
    occasion: Occasion,
    request: ConsultationRequest,
    kind: ServiceType,
    candidates: list[Candidate],
) -> Assigned:
    """Wait for another day; or end where nobody is left to ask and the kind of consultation wants that."""
    reason = why_nobody(candidates, who_declined(db, request.id))
    waits = _wait(db, occasion, request, candidates, reason)
    if reason != ALL_DECLINED or kind.when_all_declined == "wait":
        return waits
    intake.reject(db, occasion, request, reason)
    return Assigned("rejected", reason=reason)


def _wait(
    db: Session,
    occasion: Occasion,
    request: ConsultationRequest,
    candidates: list[Candidate],
    reason: str,
) -> Assigned:
    """Nobody now: the request waits, and says since when and why."""
    before = request.status
    request.updated_at = occasion.now
    changed = before != "pending_assignment" or request.status_reason != reason
    request.status_reason = reason
    request.waiting_since = request.waiting_since or occasion.now
    if before != "pending_assignment":
        check_step(REQUEST_STEPS, before, "pending_assignment")
        request.status = "pending_assignment"
        history.record(
            db, occasion, "request.waiting", request=request,
            before={"status": before}, after={"status": request.status}, reason=reason,
        )  # fmt: skip
    if changed:
        decide(db, occasion, request, candidates, Assigned("waiting", reason=reason), None, None)
    db.flush()
    return Assigned("waiting", reason=reason)


def decide(
    db: Session,
    occasion: Occasion,
    request: ConsultationRequest,
    candidates: list[Candidate],
    became: Assigned,
    chosen: Candidate | None,
    start: datetime | None,
) -> None:
    """Keep a decision with its inputs: who was looked at, what became of it, and why."""
    preferred = (request.preferred_start_time, request.preferred_end_time)
    store.add_decision(
        db,
        consultation_request_id=request.id,
        decided_at=occasion.now,
        policy_version=POLICY_VERSION,
        consultant_user_id=chosen.consultant_user_id if chosen else None,
        start_time=start,
        reason=became.reason or ("offered" if became.result == "offered" else "chosen"),
        inputs={
            "preferred_consultant_user_id": str(request.preferred_consultant_user_id or "") or None,
            "preferred_window": [one.isoformat() if one else None for one in preferred],
            "required_specializations": request.required_specializations,
            "excluded": [str(one) for one in request.excluded_consultant_user_ids],
        },
        candidates=[one.terms() for one in candidates],
    )
