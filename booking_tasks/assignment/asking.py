"""Taking a request in, once it is sure that somebody could serve it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.assignment.decisions import Assigned
from booking_tasks.assignment.eligibility import Criteria
from booking_tasks.assignment.evaluation import ineligibility_reasons
from booking_tasks.assignment.service import assign_locked, assign_new
from booking_tasks.context import Context
from booking_tasks.contracts import FallbackCost, RequestOutcome, SubmitRequest
from booking_tasks.intake import service as intake
from booking_tasks.intake.preference import preference_refusal
from booking_tasks.intake.service import Submission
from booking_tasks.models import ConsultationRequest

#: Who chooses: the requester asked, the service decides.
_CHOOSER = "jobs"


def submit(db: Session, ctx: Context, command: SubmitRequest) -> RequestOutcome:
    """Write a request down and give it to a consultant, in one transaction.

    Refused when its preference leaves nobody who could ever serve it.
    """
    new = _submission(db, ctx, command)
    if isinstance(new, RequestOutcome):
        return new
    became = _looked_at(db, ctx, new)
    return became if isinstance(became, RequestOutcome) else _told(*became)


def submit_only(db: Session, ctx: Context, command: SubmitRequest) -> RequestOutcome:
    """Where the look had to wait too long: the request is accepted all the same, and the job looks."""
    new = _submission(db, ctx, command)
    if isinstance(new, RequestOutcome):
        return new
    request = intake.insert_request(db, ctx, new)
    if isinstance(request, RequestOutcome):
        return request
    intake.postpone(db, ctx, request, "waited too long for others")
    return _told(request, Assigned("nothing"))


def _submission(db: Session, ctx: Context, command: SubmitRequest) -> Submission | RequestOutcome:
    if command.fallback == "only" or command.excluded_consultant_user_ids:
        leaves_nobody = preference_refusal(command, ineligibility_reasons(db, _wish(command)))
        if leaves_nobody is not None:
            return RequestOutcome.refusal(*leaves_nobody)
    return intake.submission(db, ctx, command)


def _looked_at(
    db: Session, ctx: Context, new: Submission
) -> tuple[ConsultationRequest, Assigned] | RequestOutcome:
    """Look at once. A request that stands for another waits for that one's lock: before the pool's."""
    looked = ctx.on_behalf_of(_CHOOSER)
    if new.request.replaces_request_id is None:
        return assign_new(db, ctx, new, looked)
    request = intake.insert_request(db, ctx, new)
    if isinstance(request, RequestOutcome):
        return request
    return request, assign_locked(db, looked, request, new.service_type)


def _told(request: ConsultationRequest, became: Assigned) -> RequestOutcome:
    cost = became.cost
    return RequestOutcome(
        result="done",
        request_id=request.id,
        status=request.status,
        reason=request.status_reason,
        consultant_user_id=request.assigned_consultant_user_id,
        session_id=request.scheduled_session_id,
        start=became.start,
        end=became.end,
        fallback=None
        if cost is None
        else FallbackCost(
            reason=cost.reason,
            minutes_later=cost.minutes_later,
            score_difference=cost.score_difference,
        ),
    )


def _wish(command: SubmitRequest) -> Criteria:
    return Criteria(
        requester_user_id=command.requester_user_id,
        service_type_id=command.service_type_id,
        company_id=command.company_id,
        required_specializations=command.required_specializations,
        languages=command.languages,
    )
