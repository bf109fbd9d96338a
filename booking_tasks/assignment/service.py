"""Assigns a consultant and a start to a request: evaluate all consultants, try the best candidate first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import store
from booking_tasks.assignment.booking import book_or_hold, book_or_offer
from booking_tasks.assignment.chosen import chosen_refusal
from booking_tasks.assignment.decisions import (
    Assignment,
    AssignmentResult,
    choice_row,
    record_decision,
    record_requester_choice,
    requester_choice,
)
from booking_tasks.assignment.evaluation import (
    Evaluation,
    aliases_for,
    current_ineligibility_reason,
    evaluate,
    ineligibility_reasons,
)
from booking_tasks.assignment.rules import ALL_DECLINED, Criteria, Ineligibility, ranked, unassigned_reason
from booking_tasks.availability import store as ledger
from booking_tasks.availability.service import Refusal
from booking_tasks.context import Context
from booking_tasks.contracts import RequestOutcome, SubmitRequest
from booking_tasks.contracts.booking import SubmitCode
from booking_tasks.enums import Fallback, RefusalCode, RequestStatus, WhenAllDeclined
from booking_tasks.intake import service as intake
from booking_tasks.intake.preference import preference_refusal
from booking_tasks.intake.service import Submission
from booking_tasks.models import ConsultationRequest, ServiceType
from booking_tasks.offers import service as offers
from booking_tasks.offers.rules import NOT_TAKEN
from booking_tasks.outbox.event_types import EventType
from booking_tasks.requests import service as requests
from booking_tasks.requests.confirmation_requests import declining_consultants
from booking_tasks.requests.store import locked_request

__all__ = [
    "Assignment",
    "AssignmentResult",
    "aliases_for",
    "assign",
    "assign_locked",
    "book_or_offer",
    "chosen_refusal",
    "current_ineligibility_reason",
    "is_assignable",
    "leave_unassigned",
    "record_decision",
    "record_requester_choice",
    "requester_choice",
    "submit",
    "submit_only",
    "waiting_request_ids",
]

#: The actor of an assignment: the requester submitted the request, the service chooses.
_CHOOSER = "jobs"
#: Refusals of a booking that become the reason of the candidate; another one means that the start was lost.
_CANDIDATE_REFUSALS = frozenset({Ineligibility.REQUESTER_BUSY, Ineligibility.AT_CAPACITY})


def submit(db: Session, ctx: Context, command: SubmitRequest) -> RequestOutcome[SubmitCode]:
    """Store a request and assign it at once, in one transaction.

    Refused when its preferences leave nobody who could ever serve it. A request that replaces another one is
    inserted first: that waits for the lock of the other one, which comes before the lock of the pool.
    """
    submission = _submission(db, ctx, command)
    if isinstance(submission, RequestOutcome):
        return submission
    chooser = ctx.on_behalf_of(_CHOOSER)
    if submission.request.replaces_request_id is None:
        return _assign_new(db, ctx, chooser, submission)
    request = intake.insert_request(db, ctx, submission)
    if isinstance(request, RequestOutcome):
        return request
    return _outcome(request, assign_locked(db, chooser, request, submission.service_type))


def submit_only(db: Session, ctx: Context, command: SubmitRequest) -> RequestOutcome[SubmitCode]:
    """Store a request whose assignment had to wait too long for a lock; a job assigns it."""
    submission = _submission(db, ctx, command)
    if isinstance(submission, RequestOutcome):
        return submission
    request = intake.insert_request(db, ctx, submission)
    if isinstance(request, RequestOutcome):
        return request
    intake.postpone(db, ctx, request, "waited too long for others")
    return _outcome(request, Assignment(AssignmentResult.NOTHING))


def _submission(db: Session, ctx: Context, command: SubmitRequest) -> Submission | RequestOutcome[SubmitCode]:
    """The request to insert, or why it is refused."""
    if command.preferred_consultant_user_id == command.requester_user_id:
        return RequestOutcome[SubmitCode].refusal(
            RefusalCode.IS_THE_REQUESTER, "preferred_consultant_user_id", "is the requester; choose another"
        )
    if command.fallback == Fallback.ONLY or command.excluded_consultant_user_ids:
        criteria = Criteria(
            requester_user_id=command.requester_user_id,
            service_type_id=command.service_type_id,
            company_id=command.company_id,
            required_specializations=command.required_specializations,
            languages=command.languages,
        )
        refusal = preference_refusal(command, ineligibility_reasons(db, criteria))
        if refusal is not None:
            return RequestOutcome[SubmitCode].refusal(*refusal)
    return intake.submission(db, ctx, command)


def _assign_new(
    db: Session, ctx: Context, chooser: Context, submission: Submission
) -> RequestOutcome[SubmitCode]:
    """Assign a request that is not inserted yet; refused when its id is in use.

    One statement inserts the request with the booking of the best candidate. Where that start is lost, the
    request is inserted alone, and the next starts are tried.
    """
    request, service_type = submission.request, submission.service_type
    evaluation = evaluate(db, chooser, request, service_type)
    best = next(iter(ranked(evaluation.candidates)), None)
    if best is not None:
        start = best.starts[0]
        row, cost = choice_row(db, chooser, request, evaluation, best, start[0])
        booked = book_or_hold(db, chooser, request, service_type, best, start, row, submission)
        if not isinstance(booked, Refusal):
            return _outcome(request, replace(booked, cost=cost))
        if booked.code == RefusalCode.REQUEST_EXISTS:
            return intake.request_exists_refusal()
    stored = intake.insert_request(db, ctx, submission)
    if isinstance(stored, RequestOutcome):
        return stored
    return _outcome(stored, _assign_evaluated(db, chooser, stored, service_type, evaluation))


def _outcome(request: ConsultationRequest, assignment: Assignment) -> RequestOutcome[SubmitCode]:
    return RequestOutcome(
        result="done",
        request_id=request.id,
        status=RequestStatus(request.status),
        reason=request.status_reason,
        consultant_user_id=request.assigned_consultant_user_id,
        session_id=request.scheduled_session_id,
        start=assignment.start,
        end=assignment.end,
        fallback=assignment.cost,
    )


def assign(db: Session, ctx: Context, request_id: UUID) -> Assignment:
    """Assign one waiting request, and store why."""
    request = locked_request(db, request_id)
    if request is None:
        return Assignment(AssignmentResult.NOTHING)
    return assign_locked(db, ctx, request)


def assign_locked(
    db: Session, ctx: Context, request: ConsultationRequest, service_type: ServiceType | None = None
) -> Assignment:
    """Assign a request that is locked, or new in this transaction.

    A request whose time is over is left to the sweep that ends it, whichever of the two comes first.
    """
    requests.ensure_deadline(ctx, request)
    if not is_assignable(db, ctx, request):
        return Assignment(AssignmentResult.NOTHING)
    service_type = service_type or ledger.service_type(db, request.consultation_service_type_id)
    if service_type is None or not service_type.is_active:
        return _wait(db, ctx, request, None, "service_type_inactive")
    evaluation = evaluate(db, ctx, request, service_type)
    return _assign_evaluated(db, ctx, request, service_type, evaluation)


def _assign_evaluated(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    service_type: ServiceType,
    evaluation: Evaluation,
) -> Assignment:
    """Try the starts of the best candidate, then those of the next one, until one is not refused."""
    while (best := next(iter(ranked(evaluation.candidates)), None)) is not None:
        refusal: str = Ineligibility.LOST_THE_RACE
        for start in best.starts:
            row, cost = choice_row(db, ctx, request, evaluation, best, start[0])
            taken = book_or_offer(db, ctx, request, service_type, best, start, row)
            if not isinstance(taken, Refusal):
                if taken.result == AssignmentResult.OFFERED:
                    store.add_decision(db, **row | {"reason": taken.decision_reason})
                return replace(taken, cost=cost)
            if taken.code in _CANDIDATE_REFUSALS:
                refusal = taken.code
        evaluation = evaluation.without(best, refusal)
    return leave_unassigned(db, ctx, request, service_type, evaluation)


def is_assignable(db: Session, ctx: Context, request: ConsultationRequest) -> bool:
    """Whether a locked request waits for a consultant: not with a hold or an offer, nor when it is over."""
    if request.status not in {RequestStatus.PENDING, RequestStatus.PENDING_ASSIGNMENT}:
        return False
    if request.status == RequestStatus.PENDING and request.hold_token is not None:
        return False
    ends = [end for end in (request.deadline_at, request.preferred_end_time) if end is not None]
    if ends and min(ends) <= ctx.now:
        return False
    return request.waiting_since is None or not offers.has_offer_or_cooldown(db, ctx, request)


def waiting_request_ids(db: Session, ctx: Context, limit: int = 100) -> list[UUID]:
    """The requests that wait for a consultant, those that were evaluated longest ago first."""
    return store.waiting_requests(db, ctx.now, limit)


def leave_unassigned(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    service_type: ServiceType,
    evaluation: Evaluation,
    batch: dict[str, Any] | None = None,
) -> Assignment:
    """Let a request wait; or reject it, where everyone declined and the service type wants that."""
    reason = unassigned_reason(evaluation.candidates, declining_consultants(db, request.id))
    waiting = _wait(db, ctx, request, evaluation, reason, batch)
    if reason != ALL_DECLINED or service_type.when_all_declined == WhenAllDeclined.WAIT:
        return waiting
    intake.reject(db, ctx, request, reason)
    return Assignment(AssignmentResult.REJECTED, reason=reason)


def _wait(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    evaluation: Evaluation | None,
    reason: str,
    batch: dict[str, Any] | None = None,
) -> Assignment:
    """Let a request wait from now on, with the reason; where the reason is new, record the decision."""
    request.updated_at = ctx.now
    if reason == Ineligibility.NO_FREE_TIME and request.status_reason in NOT_TAKEN:
        # There was free time, which the requester did not take: that is the reason they should read.
        reason = request.status_reason
    is_waiting = request.status == RequestStatus.PENDING_ASSIGNMENT
    is_changed = not is_waiting or request.status_reason != reason
    request.status_reason = reason
    request.waiting_since = request.waiting_since or ctx.now
    if not is_waiting:
        status, event = RequestStatus.PENDING_ASSIGNMENT, EventType.REQUEST_WAITING
        requests.transition(db, ctx, request, status, event, status_reason=reason, reason=reason)
    assignment = Assignment(AssignmentResult.WAITING, reason=reason)
    if is_changed:
        candidates = evaluation.candidates if evaluation else ()
        record_decision(db, ctx, request, candidates, assignment, evaluation=evaluation, batch=batch)
    db.flush()
    return assignment
