"""Running due jobs: lease, prepare, commit `sending`, act outside any transaction, settle.

Each room gives its kind a handler; what is common to all stands here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from booking_tasks.context import Context
from booking_tasks.jobs import store
from booking_tasks.jobs.rules import LeasedJob, backoff, may_repeat
from booking_tasks.jobs.steps import Finished, Send, Skipped, Snooze, Step
from booking_tasks.kit.errors import (
    EffectNotDoneError,
    EffectRefusedError,
    EffectUnknownError,
    LostLeaseError,
)
from booking_tasks.kit.logs import logger
from booking_tasks.kit.redaction import without_rows
from booking_tasks.kit.settings import settings
from booking_tasks.kit.shutdown import is_requested
from booking_tasks.outbox.jobs import JOB_TYPES
from booking_tasks.unit_of_work import unit_of_work
from booking_tasks.wakeup import wake

__all__ = ["Finished", "Handler", "InternalHandler", "Send", "Skipped", "Snooze", "Step", "run_due"]

log = logger(__name__)

#: Between two tries to write down an outcome, in seconds.
_PAUSE = 0.2
#: An outcome that wants to be written, in whatever transaction there is.
Write = Callable[[Session, Context], None]


class Handler(Protocol):
    """What a room knows about its kind of job."""

    def prepare(self, db: Session, ctx: Context, job: LeasedJob) -> Step:
        """Re-read the subject and say what to do. Runs inside a transaction; no outside effects.

        With `job.effect` set, an earlier try's outcome is unknown: the same bytes must go out again.
        """

    def perform(self, payload: bytes) -> Any:
        """Do it, outside any transaction. Raises EffectNotDoneError, EffectRefusedError or

        EffectUnknownError; any other error counts as an unknown outcome.
        """

    def record(self, db: Session, ctx: Context, job: LeasedJob, result: Any) -> None:
        """Write what came of it, in the transaction that settles the job."""

    def give_up(self, db: Session, ctx: Context, job: LeasedJob, reason: str) -> None:
        """Write what follows from never doing it, in the transaction that ends the job as dead."""


class InternalHandler:
    """For kinds without outside effects: everything happens in `prepare`."""

    def perform(self, payload: bytes) -> None:
        raise AssertionError("an internal job sends nothing")

    def record(self, db: Session, ctx: Context, job: LeasedJob, result: object) -> None:
        raise AssertionError("an internal job sends nothing")

    def give_up(self, db: Session, ctx: Context, job: LeasedJob, reason: str) -> None:
        """Nothing follows: the subject's own sweep looks again."""


def run_due(job_type: str, handler: Handler) -> int:
    """Lease what is due of a kind, up to a batch, and run it; returns how many jobs were leased.

    What is not begun when half the lease is over, or when the worker is told to stop, goes back
    uncounted: an effect takes less than the other half (settings), so no lease runs out under one.
    """
    config = settings()
    ran = 0
    while ran < config.job_batch and not is_requested():
        latest_start = time.monotonic() + config.lease / timedelta(seconds=2)
        with unit_of_work("jobs", "sweep") as (db, ctx):
            leased = store.lease(db, job_type, ctx.now, config.job_batch - ran, config.lease)
        for position, job in enumerate(leased):
            if is_requested() or time.monotonic() > latest_start:
                _hand_back(leased[position:])
                return ran + len(leased)
            with bound_contextvars(**_ids(job)):
                _run(job, handler)
        ran += len(leased)
        if not _goes_alone(leased):
            break
    if ran == config.job_batch:
        wake({job_type})
    return ran


def _goes_alone(leased: Sequence[LeasedJob]) -> bool:
    """Whether more may be due although this is no full batch: a job that lost its worker goes alone."""
    return len(leased) == 1 and leased[0].attempts > 1


def _ids(job: LeasedJob) -> dict[str, Any]:
    """What every log line of a job carries: ids and words, nothing of its content."""
    subject = {JOB_TYPES[job.job_type].subject: str(job.subject_id)}
    return {"job_type": job.job_type, "job": str(job.id), "attempt": job.attempts} | subject


def _said(error: Exception) -> str:
    return without_rows(f"{type(error).__name__}: {error}")[:500]


def _hand_back(untouched: Sequence[LeasedJob]) -> None:
    with unit_of_work("jobs", "sweep") as (db, _):
        returned = store.release(db, untouched)
    log.info("jobs.handed_back", job_type=untouched[0].job_type, count=returned, stopping=is_requested())
    wake({untouched[0].job_type})


def _run(job: LeasedJob, handler: Handler) -> None:
    lease_ends = time.monotonic() + settings().lease / timedelta(seconds=1)
    try:
        try:
            step = _prepare(job, handler)
        except LostLeaseError:
            raise
        except Exception as error:  # any mistake of ours costs this job a try, and no other anything
            log.exception("job.failed")
            _not_begun(job, handler, lease_ends, _said(error))
            return
        if isinstance(step, Send):
            _send(job, handler, step, lease_ends)
        log.info("job.ran", step=type(step).__name__)
    except LostLeaseError as error:
        log.warning("job.lease_lost", error=str(error))
    except Exception:
        # The lease runs out and the sweep decides by policy; a worker must not fall over one job.
        log.exception("job.outcome_not_written")


def _prepare(job: LeasedJob, handler: Handler) -> Step:
    config = settings()
    with unit_of_work("jobs", "sweep") as (db, ctx):
        if job.attempts > config.job_attempts:
            return _end_as_dead(db, ctx, job, "leased", handler, "every attempt failed")
        step = handler.prepare(db, ctx, job)
        if isinstance(step, Finished):
            store.finish(db, job, "leased", "done")
        elif isinstance(step, Skipped):
            store.finish(db, job, "leased", "skipped", step.reason)
        elif isinstance(step, Snooze):
            store.reschedule(
                db,
                job,
                "leased",
                step.wait,
                step.reason,
                keep_effect=job.payload is not None,
                count_attempt=False,
            )
        else:
            store.begin_sending(db, job, step.payload, config.lease)
    return step


def _send(job: LeasedJob, handler: Handler, step: Send, lease_ends: float) -> None:
    latest_start = lease_ends - settings().lease / timedelta(seconds=2)
    if time.monotonic() > latest_start:  # an effect takes up to half a lease: it would outlast this one
        write: Write = partial(_put_off, job, handler, "sending", "it was held up before it was sent")
    else:
        write = _outcome_of(job, handler, step.payload)
    _write_down(write, lease_ends)


def _outcome_of(job: LeasedJob, handler: Handler, effect: bytes) -> Write:
    """Do it; what came of it, as something to be written."""
    try:
        result = handler.perform(effect)
    except EffectNotDoneError as error:
        return partial(_put_off, job, handler, "sending", str(error))
    except EffectRefusedError as error:
        return partial(_refused, job, handler, str(error))
    except EffectUnknownError as error:
        return partial(_unknown, job, handler, str(error))
    except Exception as error:  # whatever else went wrong: it may have been sent, so nobody may guess
        log.exception("job.effect_failed", job_type=job.job_type, job=str(job.id))
        return partial(_unknown, job, handler, _said(error))
    return partial(_done, job, handler, result)


def _write_down(write: Write, lease_ends: float) -> None:
    """Write an outcome. A database that is away is asked again for as long as the lease lasts:

    what is known must not become a guess.
    """
    while True:
        try:
            with unit_of_work("jobs", "sweep") as (db, ctx):
                write(db, ctx)
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() > lease_ends:
                raise
            log.warning("job.outcome_waits", error=_said(error))
            time.sleep(_PAUSE)
        else:
            return


def _not_begun(job: LeasedJob, handler: Handler, lease_ends: float, reason: str) -> None:
    """Nothing left the house, even if `sending` was committed and only its confirmation was lost."""
    try:
        _write_down(partial(_put_off, job, handler, "leased", reason), lease_ends)
    except LostLeaseError:
        _write_down(partial(_put_off, job, handler, "sending", reason), lease_ends)


def _done(job: LeasedJob, handler: Handler, result: Any, db: Session, ctx: Context) -> None:
    handler.record(db, ctx, job, result)
    store.finish(db, job, "sending", "done")


def _refused(job: LeasedJob, handler: Handler, reason: str, db: Session, ctx: Context) -> None:
    _end_as_dead(db, ctx, job, "sending", handler, reason, certainly_not_sent=True)


def _put_off(job: LeasedJob, handler: Handler, held_as: str, reason: str, db: Session, ctx: Context) -> None:
    """Certainly not done: try again later, or give up when the tries are used up."""
    config = settings()
    not_sent = held_as == "sending"
    exhausted = job.attempts >= config.job_attempts
    if exhausted and not (not_sent and _outlasts(job, ctx)):
        _end_as_dead(db, ctx, job, held_as, handler, reason, certainly_not_sent=not_sent)
        return
    wait = backoff(job.attempts, config.retry_base, config.retry_cap, random.random)
    # An earlier try's outcome stays unknown whatever became of this one: keep its bytes.
    keep = job.payload is not None
    store.reschedule(
        db,
        job,
        held_as,
        wait,
        reason,
        keep_effect=keep,
        count_attempt=not exhausted,
        certainly_not_sent=not_sent,
    )


def _unknown(job: LeasedJob, handler: Handler, reason: str, db: Session, ctx: Context) -> None:
    """Repeat where the policy allows it; then a person decides, or, of what may always be repeated,

    enough is enough: it ends as dead, so that what follows from never doing it does follow.
    """
    config = settings()
    policy = JOB_TYPES[job.job_type].on_unknown_result
    exhausted = job.attempts >= config.job_attempts
    if may_repeat(policy, job.send_attempts + 1) and not (exhausted and not _outlasts(job, ctx)):
        wait = backoff(job.attempts, config.retry_base, config.retry_cap, random.random)
        store.reschedule(db, job, "sending", wait, reason, keep_effect=True, count_attempt=not exhausted)
    elif policy == "repeat":
        _end_as_dead(db, ctx, job, "sending", handler, reason)
    else:
        store.finish(db, job, "sending", "uncertain", reason)


def _outlasts(job: LeasedJob, ctx: Context) -> bool:
    """Whether more tries are worth it: a target that is away is no fault of the job's."""
    return (
        JOB_TYPES[job.job_type].retry_through_outage and ctx.now < job.due_at + settings().outage_retry_window
    )


def _end_as_dead(
    db: Session,
    ctx: Context,
    job: LeasedJob,
    held_as: str,
    handler: Handler,
    reason: str,
    *,
    certainly_not_sent: bool = False,
) -> Skipped:
    handler.give_up(db, ctx, job, reason)
    store.finish(db, job, held_as, "dead", reason, certainly_not_sent=certainly_not_sent)
    log.error("job.dead", job_type=job.job_type, job=str(job.id), reason=reason)
    return Skipped(reason)
