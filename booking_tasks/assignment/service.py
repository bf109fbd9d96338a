"""Assigning a request: look at everyone, try the best first, take the time in the same transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import store
from booking_tasks.assignment.booking import book_or_hold
from booking_tasks.assignment.decisions import Assigned, Cost, decision_of, fallback_cost, record_decision
from booking_tasks.assignment.evaluation import (
    Evaluation,
    aliases_for,
    current_ineligibility_reason,
    evaluate,
)
from booking_tasks.assignment.rules import ALL_DECLINED, POLICY_VERSION, Candidate, Start, unassigned_reason
from booking_tasks.availability import store as ledger
from booking_tasks.availability.service import Refusal
from booking_tasks.context import Context
from booking_tasks.contracts import RequestOutcome
from booking_tasks.enums import RequestStatus
from booking_tasks.intake import service as intake
from booking_tasks.intake.service import Submission
from booking_tasks.kit.savepoints import savepoint
from booking_tasks.models import ConsultationRequest, ServiceType
from booking_tasks.offers import service as offers
from booking_tasks.offers.rules import NOT_TAKEN
from booking_tasks.outbox.event_types import EventType
from booking_tasks.requests import service as requests
from booking_tasks.requests.confirmation_requests import declining_consultants
from booking_tasks.requests.rules import NewRequest
from booking_tasks.requests.store import locked_request

__all__ = [
    "Assigned",
    "aliases_for",
    "assign",
    "assign_locked",
    "assign_new",
    "book_or_offer",
    "current_ineligibility_reason",
    "evaluated_candidates",
    "is_assignable",
    "leave_unassigned",
    "record_decision",
    "record_requester_choice",
    "requester_choice",
    "waiting_request_ids",
]


def assign(db: Session, ctx: Context, request_id: UUID) -> Assigned:
    """Find a consultant and a time for one waiting request and take them; store why."""
    request = locked_request(db, request_id)
    return Assigned("nothing") if request is None else assign_locked(db, ctx, request)


def assign_locked(
    db: Session, ctx: Context, request: ConsultationRequest, service_type: ServiceType | None = None
) -> Assigned:
    """The same for a request that is locked, or new in this transaction.

    A request whose time is over is left to the sweep that ends it, whichever of the two comes first.
    """
    requests.ensure_deadline(ctx, request)
    if not is_assignable(db, ctx, request):
        return Assigned("nothing")
    service_type = service_type or ledger.service_type(db, request.consultation_service_type_id)
    if service_type is None or not service_type.is_active:
        return _wait(db, ctx, request, None, "service_type_inactive")
    return _assigned(db, ctx, request, service_type, evaluate(db, ctx, request, service_type))


def assign_new(
    db: Session, ctx: Context, new: Submission, looked: Context
) -> tuple[ConsultationRequest, Assigned] | RequestOutcome:
    """Find a consultant and a time for a request that is not written yet; refused when its id is in use.

    `looked` is the moment on the word of who chooses. What the first choice takes is written together with
    the request, by one statement.
    """
    seen = evaluate(db, looked, new.request, new.service_type)
    best = seen.best()
    if best is not None:
        cost, row = _choice(db, looked, new.request, seen, best, best.starts[0])
        taken = book_or_hold(db, looked, new.request, new.service_type, best, best.starts[0], row, new)
        if not isinstance(taken, Refusal):
            return new.request, replace(taken, cost=cost)
        if taken.code == "request_exists":
            return intake.request_exists_refusal()
    request = intake.insert_request(db, ctx, new)
    if isinstance(request, RequestOutcome):
        return request
    return request, _assigned(db, looked, request, new.service_type, seen)


def _assigned(
    db: Session, ctx: Context, request: ConsultationRequest, kind: ServiceType, seen: Evaluation
) -> Assigned:
    """Try the best, then the next; the first start that can be taken is given."""
    while (best := seen.best()) is not None:
        refused = "lost_the_race"
        for start, end in best.starts:
            cost, row = _choice(db, ctx, request, seen, best, (start, end))
            taken = book_or_offer(db, ctx, request, kind, best, start, end, row)
            if not isinstance(taken, Refusal):
                if taken.result == "offered":
                    store.add_decision(db, **row | {"reason": taken.reason_stored})
                return replace(taken, cost=cost)
            if taken.code in {"requester_busy", "at_capacity"}:
                refused = taken.code
        seen = seen.without(best, refused)
    return leave_unassigned(db, ctx, request, kind, seen)


def _choice(
    db: Session, ctx: Context, request: ConsultationRequest, seen: Evaluation, best: Candidate, span: Start
) -> tuple[Cost | None, dict[str, Any]]:
    """What the choice costs, and its row."""
    cost = fallback_cost(db, ctx, request, seen, best, span[0])
    return cost, decision_of(ctx, request, seen, best, span[0], cost)


def is_assignable(db: Session, ctx: Context, request: ConsultationRequest) -> bool:
    """Whether a locked request is to be looked at: not when it keeps a start, has an offer, or is over."""
    if request.status not in {"pending", "pending_assignment"}:
        return False
    if request.status == "pending" and request.hold_token is not None:
        return False
    ends = [end for end in (request.deadline_at, request.preferred_end_time) if end is not None]
    if ends and min(ends) <= ctx.now:
        return False
    return request.waiting_since is None or not offers.has_offer_or_cooldown(db, ctx, request)


def requester_choice(
    ctx: Context, request: ConsultationRequest | NewRequest, start: datetime
) -> dict[str, Any]:
    """The decision of a booking whose consultant and start the requester chose, to be written with it."""
    return {
        "consultation_request_id": request.id,
        "decided_at": ctx.now,
        "policy_version": POLICY_VERSION,
        "consultant_user_id": request.preferred_consultant_user_id,
        "start_time": start,
        "reason": "chosen_by_requester",
        "inputs": {"preferred_consultant_user_id": str(request.preferred_consultant_user_id)},
        "candidates": [],
    }


def record_requester_choice(db: Session, ctx: Context, request: ConsultationRequest, start: datetime) -> None:
    """Keep that decision where nothing is booked yet."""
    store.add_decision(db, **requester_choice(ctx, request, start))


def waiting_request_ids(db: Session, ctx: Context, limit: int = 100) -> list[UUID]:
    """Requests to look at again."""
    return store.waiting_requests(db, ctx.now, limit)


def evaluated_candidates(
    db: Session, ctx: Context, request: ConsultationRequest, kind: ServiceType
) -> list[Candidate]:
    """Everyone, with their terms and free starts, or the first reason why not. Locks the pool."""
    return list(evaluate(db, ctx, request, kind).candidates)


def book_or_offer(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    service_type: ServiceType,
    candidate: Candidate,
    start: datetime,
    end: datetime,
    decision: dict[str, Any] | None = None,
) -> Assigned | Refusal:
    """Give a start that was found to a locked request: the one way, whoever found it.

    Who was told to wait may have made other plans: where the kind says so, they are asked first.
    `decision`, the row of the choice, is written with what is given; a lost race gives its locks back.
    """
    if request.waiting_since is None or service_type.waiting_list == "book":
        return book_or_hold(db, ctx, request, service_type, candidate, (start, end), decision)
    with savepoint(db) as attempt:
        if _is_full(db, ctx, candidate):
            attempt.discard()
            return Refusal("at_capacity")
        taken = offers.offer_start(db, ctx, request, candidate.consultant_user_id, start)
        if isinstance(taken, Refusal):
            attempt.discard()
            return taken
    return Assigned("offered", candidate.consultant_user_id, start=start, end=end)


def _is_full(db: Session, ctx: Context, candidate: Candidate) -> bool:
    """Counted under the consultant's lock: other pools give to them as well."""
    if candidate.capacity is None:
        return False
    ledger.lock_consultant(db, candidate.consultant_user_id)
    return bool(store.at_capacity(db, [candidate.consultant_user_id], ctx.now))


def leave_unassigned(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    kind: ServiceType,
    seen: Evaluation,
    batch: dict[str, Any] | None = None,
) -> Assigned:
    """Wait for another day; or end where nobody is left to ask and the kind of consultation wants that."""
    reason = unassigned_reason(seen.candidates, declining_consultants(db, request.id))
    waits = _wait(db, ctx, request, seen, reason, batch)
    if reason != ALL_DECLINED or kind.when_all_declined == "wait":
        return waits
    intake.reject(db, ctx, request, reason)
    return Assigned("rejected", reason=reason)


def _wait(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    seen: Evaluation | None,
    reason: str,
    batch: dict[str, Any] | None = None,
) -> Assigned:
    """Nobody now: the request waits, and says since when and why."""
    before = request.status
    request.updated_at = ctx.now
    if reason == "no_free_time" and request.status_reason in NOT_TAKEN:
        reason = request.status_reason  # there was time; who asks why nothing came of it should hear that
    became = Assigned("waiting", reason=reason)
    changed = before != RequestStatus.PENDING_ASSIGNMENT or request.status_reason != reason
    request.status_reason = reason
    request.waiting_since = request.waiting_since or ctx.now
    if before != RequestStatus.PENDING_ASSIGNMENT:
        requests.transition(
            db,
            ctx,
            request,
            RequestStatus.PENDING_ASSIGNMENT,
            EventType.REQUEST_WAITING,
            status_reason=reason,
            reason=reason,
        )
    if changed:
        record_decision(db, ctx, request, seen.candidates if seen else (), became, seen=seen, batch=batch)
    db.flush()
    return became
