"""Books a chosen start, holds it until the consultant confirms, or offers it to a requester who waits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from booking_tasks.assignment import store
from booking_tasks.assignment.decisions import Assignment, AssignmentResult
from booking_tasks.assignment.rules import Candidate, Ineligibility
from booking_tasks.assignment.store import PendingBooking
from booking_tasks.availability import store as ledger
from booking_tasks.availability.service import Refusal
from booking_tasks.context import Context
from booking_tasks.enums import RefusalCode, WaitingList
from booking_tasks.intake.service import Submission
from booking_tasks.kit.instants import Span
from booking_tasks.kit.savepoints import savepoint
from booking_tasks.models import ConsultationRequest, ServiceType
from booking_tasks.offers import service as offers
from booking_tasks.outbox.pending_wakeups import wake_after_commit
from booking_tasks.requests import service as requests
from booking_tasks.requests.rules import confirmation_deadline
from booking_tasks.sessions import service as sessions


def book_or_hold(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    service_type: ServiceType,
    candidate: Candidate,
    start: Span,
    decision: dict[str, Any] | None,
    submission: Submission | None = None,
) -> Assignment | Refusal:
    """Book a start for a locked request, or for one that is inserted with it; Refusal writes nothing.

    The length of the session, and whether the consultant must confirm, are those of the policy under the
    lock, not those of the evaluation; where they differ, the booking is drafted again.
    """
    while True:
        pending = _pending_booking(ctx, request, service_type, candidate, start, decision, submission)
        refusal, end = store.insert_booking(db, request, pending, ctx.now)
        if refusal is None:
            break
        if refusal == RefusalCode.MUST_BE_CONFIRMED:
            candidate = replace(candidate, must_confirm=True)
        elif end is not None:  # only `other_length` comes with an end
            start = (start[0], end)
        else:
            return Refusal(refusal)
    job_types = pending.entry.job_types_due(ctx.now)
    if submission is not None:
        job_types |= submission.entry.job_types_due(ctx.now)
    wake_after_commit(db, job_types)
    is_hold = pending.session_id is None
    result = AssignmentResult.CONFIRMATION_REQUESTED if is_hold else AssignmentResult.SCHEDULED
    return Assignment(result, candidate.consultant_user_id, start=start[0], end=start[1])


def _pending_booking(
    ctx: Context,
    request: ConsultationRequest,
    service_type: ServiceType,
    candidate: Candidate,
    start: Span,
    decision: dict[str, Any] | None,
    submission: Submission | None,
) -> PendingBooking:
    who = candidate.consultant_user_id
    if not candidate.must_confirm:
        draft = sessions.draft_session(ctx, request, who, *start, decision)
        session_id, entry, until = draft.session.id, draft.entry, None
    else:
        minutes, default = service_type.confirmation_minutes, ctx.policies.confirmation_deadline
        until = confirmation_deadline(ctx.now, minutes, default, start[0])
        session_id, entry = None, requests.confirmation_entry(ctx, request, who, *start, until)
    return PendingBooking(who, *start, entry, decision, session_id, until, submission)


def book_or_offer(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    service_type: ServiceType,
    candidate: Candidate,
    start: Span,
    decision: dict[str, Any] | None = None,
) -> Assignment | Refusal:
    """Book a start for a locked request, or offer it to a requester who waits.

    A requester who waits may have made other plans, so the start is offered to them; a service type with
    `WaitingList.BOOK` books it at once. `decision`, the row of the choice, is written with a booking. A
    Refusal releases the attempt's locks.
    """
    if request.waiting_since is None or service_type.waiting_list == WaitingList.BOOK:
        return book_or_hold(db, ctx, request, service_type, candidate, start, decision)
    with savepoint(db) as attempt:
        if _is_at_capacity(db, ctx, candidate):
            attempt.discard()
            return Refusal(Ineligibility.AT_CAPACITY)
        offered = offers.offer_start(db, ctx, request, candidate.consultant_user_id, start[0])
        if isinstance(offered, Refusal):
            attempt.discard()
            return offered
    return Assignment(AssignmentResult.OFFERED, candidate.consultant_user_id, start=start[0], end=start[1])


def _is_at_capacity(db: Session, ctx: Context, candidate: Candidate) -> bool:
    """Whether the consultant may have no further reservation; locks them, as other pools book them too."""
    if candidate.capacity is None:
        return False
    ledger.lock_consultant(db, candidate.consultant_user_id)
    return bool(store.at_capacity(db, [candidate.consultant_user_id], ctx.now))
