"""Public tasks and the sweep of the room."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.celery import app
from booking_tasks.contracts import (
    TASK_PREFIX,
    CancelRequest,
    ConfirmRequest,
    DeclineRequest,
    RequestOutcome,
    SubmitRequest,
)
from booking_tasks.doorbell import occasion
from booking_tasks.inbox.tasks import accepts
from booking_tasks.intake import service
from booking_tasks.occasion import Occasion


@accepts(SubmitRequest)
def submit_request(db: Session, moment: Occasion, command: SubmitRequest) -> RequestOutcome:
    return service.submit(db, moment, command)


@accepts(ConfirmRequest)
def confirm_request(db: Session, moment: Occasion, command: ConfirmRequest) -> RequestOutcome:
    return service.confirm(db, moment, command)


@accepts(DeclineRequest)
def decline_request(db: Session, moment: Occasion, command: DeclineRequest) -> RequestOutcome:
    return service.decline(db, moment, command)


@accepts(CancelRequest)
def cancel_request(db: Session, moment: Occasion, command: CancelRequest) -> RequestOutcome:
    return service.cancel(db, moment, command)


@app.task(name=TASK_PREFIX + "expire_requests")
def expire_requests() -> int:
    """Confirmations nobody gave and requests nobody could serve, one transaction each."""
    with occasion("sweep", "sweep") as (db, moment):
        work = [(service.expire_unanswered, one) for one in service.unanswered(db, moment)]
        work += [(service.give_up, one) for one in service.overdue(db, moment)]
    for step, request_id in work:
        with occasion("sweep", "sweep") as (db, moment):
            step(db, moment, request_id)
    return len(work)
