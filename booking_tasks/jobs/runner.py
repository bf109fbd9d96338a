"""Running due jobs: lease, prepare, commit `sending`, act outside any transaction, settle.

Each room gives its kind a handler; what is common to all stands here.
"""

from __future__ import annotations

import random
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.doorbell import occasion, ring
from booking_tasks.errors import EffectNotDoneError, EffectRefusedError, EffectUnknownError, LostLeaseError
from booking_tasks.jobs import store
from booking_tasks.jobs.rules import KINDS, LeasedJob, backoff, may_repeat
from booking_tasks.jobs.steps import Finished, NotYet, Send, Skipped, Step
from booking_tasks.logs import logger
from booking_tasks.occasion import Occasion
from booking_tasks.settings import settings

__all__ = ["Finished", "Handler", "InternalHandler", "NotYet", "Send", "Skipped", "Step", "run_due"]

log = logger(__name__)


class Handler(Protocol):
    """What a room knows about its kind of job."""

    def prepare(self, db: Session, occasion: Occasion, job: LeasedJob) -> Step:
        """Re-read the subject and say what to do. Runs inside a transaction; no outside effects.

        With `job.effect` set, an earlier try's outcome is unknown: the same bytes must go out again.
        """

    def perform(self, effect: bytes) -> Any:
        """Do it, outside any transaction. Raises EffectNotDoneError, EffectRefusedError or

        EffectUnknownError; any other error counts as an unknown outcome.
        """

    def record(self, db: Session, occasion: Occasion, job: LeasedJob, result: Any) -> None:
        """Write what came of it, in the transaction that settles the job."""

    def give_up(self, db: Session, occasion: Occasion, job: LeasedJob, reason: str) -> None:
        """Write what follows from never doing it, in the transaction that ends the job as dead."""


class InternalHandler:
    """For kinds without outside effects: everything happens in `prepare`."""

    def perform(self, effect: bytes) -> None:
        raise AssertionError("an internal job sends nothing")

    def record(self, db: Session, occasion: Occasion, job: LeasedJob, result: object) -> None:
        raise AssertionError("an internal job sends nothing")

    def give_up(self, db: Session, occasion: Occasion, job: LeasedJob, reason: str) -> None:
        """Nothing follows: the subject's own sweep looks again."""


def run_due(kind: str, handler: Handler, job_id: UUID | str | None = None) -> int:
    """Lease what is due of a kind, up to a batch, and run it; returns how many jobs were leased."""
    config = settings()
    named = UUID(str(job_id)) if job_id is not None else None
    with occasion("jobs", "sweep") as (db, moment):
        leased = store.lease(db, kind, moment.now, config.job_batch, config.lease, named)
    for job in leased:
        _run(job, handler)
    if len(leased) == config.job_batch:
        ring({kind})
    return len(leased)


def _run(job: LeasedJob, handler: Handler) -> None:
    bound = log.bind(kind=job.kind, job=str(job.id), subject=str(job.subject_id), attempt=job.attempts)
    try:
        step = _prepare(job, handler)
        if isinstance(step, Send):
            _send(job, handler, step)
        bound.info("job.ran", step=type(step).__name__)
    except LostLeaseError as error:
        bound.warning("job.lease_lost", error=str(error))
    except Exception as error:  # noqa: BLE001
        # The lease runs out and the sweep decides by policy; a worker must not fall over one job.
        bound.exception("job.failed")
        _failed_while(job, "leased", handler, f"{type(error).__name__}: {error}"[:500])


def _prepare(job: LeasedJob, handler: Handler) -> Step:
    config = settings()
    with occasion("jobs", "sweep") as (db, moment):
        if job.attempts > config.job_attempts:
            return _end_as_dead(db, moment, job, "leased", handler, "every attempt failed")
        step = handler.prepare(db, moment, job)
        if isinstance(step, Finished):
            store.settle(db, job, "leased", "done")
        elif isinstance(step, Skipped):
            store.settle(db, job, "leased", "skipped", step.reason)
        elif isinstance(step, NotYet):
            store.put_back(
                db,
                job,
                "leased",
                step.wait,
                step.reason,
                keep_effect=job.effect is not None,
                count_attempt=False,
            )
        else:
            store.begin_sending(db, job, step.effect, config.lease)
    return step


def _send(job: LeasedJob, handler: Handler, step: Send) -> None:
    try:
        result = handler.perform(step.effect)
    except EffectNotDoneError as error:
        _failed_while(job, "sending", handler, str(error))
    except EffectRefusedError as error:
        with occasion("jobs", "sweep") as (db, moment):
            _end_as_dead(db, moment, job, "sending", handler, str(error), certainly_not_sent=True)
    except EffectUnknownError as error:
        _outcome_unknown(job, handler, str(error))
    except Exception as error:
        log.exception("job.effect_failed", kind=job.kind, job=str(job.id))
        _outcome_unknown(job, handler, f"{type(error).__name__}: {error}"[:500])
    else:
        with occasion("jobs", "sweep") as (db, moment):
            handler.record(db, moment, job, result)
            store.settle(db, job, "sending", "done")


def _failed_while(job: LeasedJob, held_as: str, handler: Handler, reason: str) -> None:
    """Certainly not done: try again later, or give up when the tries are used up."""
    config = settings()
    not_sent = held_as == "sending"
    try:
        with occasion("jobs", "sweep") as (db, moment):
            if job.attempts >= config.job_attempts:
                _end_as_dead(db, moment, job, held_as, handler, reason, certainly_not_sent=not_sent)
            else:
                wait = backoff(job.attempts, config.retry_base, config.retry_cap, random.random)
                # An earlier try's outcome stays unknown whatever became of this one: keep its bytes.
                keep = job.effect is not None
                store.put_back(db, job, held_as, wait, reason, keep_effect=keep, certainly_not_sent=not_sent)
    except LostLeaseError as error:
        log.warning("job.lease_lost", kind=job.kind, job=str(job.id), error=str(error))


def _outcome_unknown(job: LeasedJob, handler: Handler, reason: str) -> None:
    """Repeat where the policy allows it; then a person decides, or, of what may always be repeated,

    enough is enough: it ends as dead, so that what follows from never doing it does follow.
    """
    config = settings()
    policy = KINDS[job.kind].lost_outcome
    with occasion("jobs", "sweep") as (db, moment):
        exhausted = job.attempts >= config.job_attempts
        if may_repeat(policy, job.sendings + 1) and not exhausted:
            wait = backoff(job.attempts, config.retry_base, config.retry_cap, random.random)
            store.put_back(db, job, "sending", wait, reason, keep_effect=True)
        elif policy == "repeat":
            _end_as_dead(db, moment, job, "sending", handler, reason)
        else:
            store.settle(db, job, "sending", "uncertain", reason)


def _end_as_dead(
    db: Session,
    moment: Occasion,
    job: LeasedJob,
    held_as: str,
    handler: Handler,
    reason: str,
    *,
    certainly_not_sent: bool = False,
) -> Skipped:
    handler.give_up(db, moment, job, reason)
    store.settle(db, job, held_as, "dead", reason, certainly_not_sent=certainly_not_sent)
    log.error("job.dead", kind=job.kind, job=str(job.id), reason=reason)
    return Skipped(reason)
