"""Taking a request in, once it is sure that somebody could serve it."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from booking_tasks.assignment.decisions import Assigned
from booking_tasks.assignment.eligibility import Wish
from booking_tasks.assignment.looking import obstacles
from booking_tasks.assignment.service import assign_locked
from booking_tasks.contracts import FallbackCost, RequestOutcome, SubmitRequest
from booking_tasks.intake import service as intake
from booking_tasks.intake.preference import nobody
from booking_tasks.models import ConsultationRequest, ServiceType
from booking_tasks.occasion import Occasion

#: Somebody held a lock or the database for too long (PostgreSQL, appendix A: lock not available, query
#: cancelled). What a rival won is another matter: the whole message runs again.
_TOO_LONG = {"55P03", "57014"}

#: Who chooses: the requester asked, the service decides.
_CHOOSER = "jobs"


def submit(db: Session, occasion: Occasion, command: SubmitRequest) -> RequestOutcome:
    """Write a request down and give it to a consultant, in one transaction.

    Refused when its preference leaves nobody who could ever serve it. Where the look would have to wait too
    long, the request is accepted all the same and the job looks.
    """
    if command.fallback == "only" or command.excluded_consultant_user_ids:
        leaves_nobody = nobody(command, obstacles(db, _wish(command)))
        if leaves_nobody is not None:
            return RequestOutcome.refusal(*leaves_nobody)
    accepted = intake.accepted(db, occasion, command)
    if isinstance(accepted, RequestOutcome):
        return accepted
    request, kind = accepted
    return _told(request, _looked_at_once(db, occasion, request, kind))


def _looked_at_once(
    db: Session, occasion: Occasion, request: ConsultationRequest, kind: ServiceType
) -> Assigned:
    savepoint = db.begin_nested()
    try:
        became = assign_locked(db, occasion.by(_CHOOSER), request, kind)
        savepoint.commit()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in _TOO_LONG:
            raise
        savepoint.rollback()
        intake.postpone(db, occasion, request, "waited too long for others")
        return Assigned("nothing")
    return became


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
            because=cost.because,
            minutes_later=cost.minutes_later,
            score_difference=cost.score_difference,
        ),
    )


def _wish(command: SubmitRequest) -> Wish:
    return Wish(
        requester_user_id=command.requester_user_id,
        service_type_id=command.service_type_id,
        company_id=command.company_id,
        required_specializations=command.required_specializations,
        languages=command.languages,
    )
