"""Taking a request in, once it is sure that somebody could serve it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.assignment.eligibility import Wish
from booking_tasks.assignment.looking import obstacles
from booking_tasks.contracts import RequestOutcome, SubmitRequest
from booking_tasks.intake import service as intake
from booking_tasks.intake.preference import nobody
from booking_tasks.occasion import Occasion


def submit(db: Session, occasion: Occasion, command: SubmitRequest) -> RequestOutcome:
    """Write a request down, unless its preference leaves nobody who could ever serve it."""
    if command.fallback == "only" or command.excluded_consultant_user_ids:
        leaves_nobody = nobody(command, obstacles(db, _wish(command)))
        if leaves_nobody is not None:
            return RequestOutcome.refusal(*leaves_nobody)
    return intake.submit(db, occasion, command)


def _wish(command: SubmitRequest) -> Wish:
    return Wish(
        requester_user_id=command.requester_user_id,
        service_type_id=command.service_type_id,
        company_id=command.company_id,
        required_specializations=command.required_specializations,
        languages=command.languages,
    )
