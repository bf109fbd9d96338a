"""The public tasks of requests, and the sweep that ends the overdue ones."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import (
    TASK_PREFIX,
    CancelRequest,
    ConfirmRequest,
    DeclineRequest,
)
from booking_tasks.inbox.receiver import accepts
from booking_tasks.intake import service
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any, for_each_in_own_transaction, unit_of_work

_ANY_TO_END = query(__package__, "any_to_end")

confirm_request = accepts(ConfirmRequest)(service.confirm)
decline_request = accepts(DeclineRequest)(service.decline)
cancel_request = accepts(CancelRequest)(service.cancel)


@app.task(name=TASK_PREFIX + "expire_requests")
def expire_requests() -> int:
    """End unanswered confirmations and overdue requests, one transaction each; return how many."""
    if not finds_any(_ANY_TO_END):
        return 0
    with unit_of_work("sweep", "sweep") as (db, ctx):
        unanswered, overdue = service.unanswered_requests(db, ctx), service.overdue_requests(db, ctx)
    return for_each_in_own_transaction(unanswered, service.expire_unanswered) + for_each_in_own_transaction(
        overdue, service.give_up
    )
