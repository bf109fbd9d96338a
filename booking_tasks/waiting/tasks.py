"""The job that offers freed time, the sweep over unanswered offers, and the public answers."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.celery import app
from booking_tasks.context import Context
from booking_tasks.contracts import TASK_PREFIX, AcceptOffer, DeclineOffer
from booking_tasks.inbox.receiver import accepts
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Finished, InternalHandler, Skipped, run_due
from booking_tasks.outbox.job_args import OfferTime
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any, for_each_in_own_transaction, unit_of_work
from booking_tasks.waiting import offering, service

_ANY_OFFER_OVER = query(__package__, "any_offer_over")

accept_offer = accepts(AcceptOffer)(service.accept_offer)
decline_offer = accepts(DeclineOffer)(service.decline_offer)


class OfferTimeHandler(InternalHandler):
    """Offers the free time of a consultant to the best waiting request."""

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[OfferTime]) -> Finished | Skipped:
        taken = offering.offer_released_time(db, ctx, job.args.consultant_user_id)
        return Skipped("nobody who waits could use it") if taken is None else Finished()


@app.task(name=TASK_PREFIX + "offer_time")
def offer_time() -> int:
    """Run the due jobs that offer released time."""
    return run_due(OfferTime, OfferTimeHandler())


@app.task(name=TASK_PREFIX + "lapse_offers")
def lapse_offers() -> int:
    """Lapse the offers that were not answered in time, one transaction each."""
    if not finds_any(_ANY_OFFER_OVER):
        return 0
    with unit_of_work("sweep", "sweep") as (db, ctx):
        lapsed = service.lapsed(db, ctx)
    return for_each_in_own_transaction(lapsed, service.lapse)
