"""The daily purge."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.kit.logs import logger
from booking_tasks.kit.settings import Settings, settings
from booking_tasks.kit.shutdown import is_requested
from booking_tasks.outbox.daily_runs import RUN_IS_OPEN, claim_daily_run
from booking_tasks.retention import service
from booking_tasks.retention.rules import Retention
from booking_tasks.unit_of_work import finds_any, unit_of_work

log = logger(__name__)

#: Rows deleted in one transaction: a second's worth at most, so that nobody waits for a lock.
BATCH = 1000


@app.task(name=TASK_PREFIX + "purge")
def purge() -> int:
    """Delete rows past their retention, once a day; a shutdown leaves the rest to the next day."""
    if not finds_any(RUN_IS_OPEN, schedule="purge"):
        return 0
    with unit_of_work("sweep", "sweep") as (db, ctx):
        if not claim_daily_run(db, "purge", ctx.now):
            return 0
    ages = retention_of(settings())
    return sum(_purge_part(part, ages) for part in service.PARTS)


def _purge_part(part: str, ages: Retention) -> int:
    removed, last = 0, BATCH
    try:
        while last == BATCH and not is_requested():
            with unit_of_work("sweep", "sweep") as (db, ctx):
                last = service.purge_batch(db, ctx, part, ages, BATCH)
            removed += last
    except Exception:  # an error in one part does not keep the others from being purged
        log.exception("purge.failed", part=part)
    return removed


def retention_of(config: Settings) -> Retention:
    """The deployment's retention."""
    return Retention(
        jobs=config.retain_jobs,
        inbox=config.retain_inbox,
        events=config.retain_events,
        evidence=config.retain_evidence,
        dead_letters=config.retain_dead_letters,
        details=config.retain_details,
        requests=config.retain_requests,
        people=config.retain_people,
        decisions=config.retain_decisions,
        credits=config.retain_credits,
        hours=config.retain_hours,
    )
