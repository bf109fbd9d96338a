"""Running due jobs: lease, prepare, commit `sending`, send outside any transaction, finish.

Each package has a handler for its job types; what is common to all types is here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from booking_tasks.context import Context
from booking_tasks.enums import JobState
from booking_tasks.jobs import store
from booking_tasks.jobs.rules import LeasedJob, backoff, may_repeat
from booking_tasks.jobs.steps import Finished, Send, Skipped, Snooze, Step
from booking_tasks.kit.database_errors import is_away
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
from booking_tasks.outbox.job_args import ArgsT, JobArgs
from booking_tasks.outbox.jobs import JOB_TYPES, OnUnknownResult
from booking_tasks.unit_of_work import unit_of_work
from booking_tasks.wakeup import wake

__all__ = ["Finished", "Handler", "InternalHandler", "Send", "Skipped", "Snooze", "Step", "run_due"]

log = logger(__name__)

ArgsT_contra = TypeVar("ArgsT_contra", bound=JobArgs, contravariant=True)

#: Seconds between two tries to write a result.
_PAUSE = 0.2
#: The write of a result, run in whatever transaction succeeds first.
Write = Callable[[Session, Context], None]


class Handler(Protocol[ArgsT_contra]):
    """What a package does for one type of job."""

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[ArgsT_contra]) -> Step:
        """Read the subject again and decide what to do. Runs inside a transaction; no outside effects.

        With `job.payload` set, an earlier try's result is unknown: the same bytes must go out again.
        """

    def perform(self, payload: bytes) -> Any:
        """Do it, outside any transaction.

        Raises EffectNotDoneError, EffectRefusedError or EffectUnknownError; any other error counts as an
        unknown result.
        """

    def record(self, db: Session, ctx: Context, job: LeasedJob[ArgsT_contra], result: Any) -> None:
        """Write the result, in the transaction that finishes the job."""

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[ArgsT_contra], reason: str) -> None:
        """Write what follows from never doing it, in the transaction that ends the job as dead."""


class InternalHandler:
    """For job types without outside effects: everything happens in `prepare`."""

    def perform(self, payload: bytes) -> None:
        raise AssertionError("an internal job sends nothing")

    def record(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], result: object) -> None:
        raise AssertionError("an internal job sends nothing")

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], reason: str) -> None:
        """Nothing follows: the subject's own sweep evaluates it again."""


def run_due(args_type: type[ArgsT], handler: Handler[ArgsT]) -> int:
    """Lease what is due of a type, up to a batch, and run it; returns how many jobs were leased.

    Jobs that are not begun when half the lease is over, or when the worker is shutting down, are released
    uncounted: an effect takes less than the other half (settings), so no lease runs out under one.
    """
    config = settings()
    ran = 0
    while ran < config.job_batch and not is_requested():
        latest_start = time.monotonic() + config.lease / timedelta(seconds=2)
        leased = _lease(args_type, config.job_batch - ran)
        for position, job in enumerate(leased):
            if is_requested() or time.monotonic() > latest_start:
                _release(leased[position:])
                return ran + len(leased)
            with bound_contextvars(**_log_context(job)):
                _run(job, handler)
        ran += len(leased)
        if not _was_taken_alone(leased):
            break
    if ran == config.job_batch:
        wake({args_type.job_type})
    return ran


def _lease(args_type: type[ArgsT], limit: int) -> list[LeasedJob[ArgsT]]:
    with unit_of_work("jobs", "sweep") as (db, ctx):
        leased, unreadable = store.lease(db, args_type, ctx.now, limit, settings().lease)
    for one in unreadable:
        log.error("job.dead", job_type=args_type.job_type, job=str(one.id), reason=store.UNREADABLE)
    return leased


def _was_taken_alone(leased: Sequence[LeasedJob[JobArgs]]) -> bool:
    """Whether more may be due although this is no full batch: a job that lost its worker is taken alone."""
    return len(leased) == 1 and leased[0].attempts > 1


def _log_context(job: LeasedJob[JobArgs]) -> dict[str, Any]:
    """What every log line of a job carries: ids and types, nothing of its content."""
    subject = {job.args.subject_name(): str(job.args.subject_id)}
    return {"job_type": job.job_type, "job": str(job.id), "attempt": job.attempts} | subject


def _error_text(error: Exception) -> str:
    return without_rows(f"{type(error).__name__}: {error}")[:500]


def _release(untouched: Sequence[LeasedJob[JobArgs]]) -> None:
    job_type = untouched[0].job_type
    with unit_of_work("jobs", "sweep") as (db, _):
        released = store.release(db, untouched)
    log.info("jobs.released", job_type=job_type, count=released, shutdown=is_requested())
    wake({job_type})


def _run(job: LeasedJob[ArgsT], handler: Handler[ArgsT]) -> None:
    lease_ends = time.monotonic() + settings().lease / timedelta(seconds=1)
    try:
        try:
            step = _prepare(job, handler)
        except LostLeaseError:
            raise
        except Exception as error:  # a mistake in our code costs this job a try, and the others nothing
            log.exception("job.failed")
            _reschedule_unsent(job, handler, lease_ends, _error_text(error))
            return
        if isinstance(step, Send):
            _send(job, handler, step, lease_ends)
        log.info("job.ran", step=type(step).__name__)
    except LostLeaseError as error:
        log.warning("job.lease_lost", error=str(error))
    except Exception:
        # The lease runs out and the sweep decides by policy; one job must not end its worker.
        log.exception("job.result_not_written")


def _prepare(job: LeasedJob[ArgsT], handler: Handler[ArgsT]) -> Step:
    config = settings()
    with unit_of_work("jobs", "sweep") as (db, ctx):
        if job.attempts > config.job_attempts:
            return _end_as_dead(db, ctx, job, JobState.LEASED, handler, "every attempt failed")
        step = handler.prepare(db, ctx, job)
        if isinstance(step, Finished):
            store.finish(db, job, JobState.LEASED, JobState.DONE)
        elif isinstance(step, Skipped):
            store.finish(db, job, JobState.LEASED, JobState.SKIPPED, step.reason)
        elif isinstance(step, Snooze):
            store.reschedule(
                db,
                job,
                JobState.LEASED,
                step.wait,
                step.reason,
                keep_payload=job.payload is not None,
                count_attempt=False,
            )
        else:
            store.begin_sending(db, job, step.payload, config.lease)
    return step


def _send(job: LeasedJob[ArgsT], handler: Handler[ArgsT], step: Send, lease_ends: float) -> None:
    latest_start = lease_ends - settings().lease / timedelta(seconds=2)
    if time.monotonic() > latest_start:  # an effect takes up to half a lease: it would outlast this one
        reason = "it was held up before it was sent"
        write: Write = partial(_reschedule_or_end, job, handler, JobState.SENDING, reason)
    else:
        write = _perform(job, handler, step.payload)
    _write_with_retry(write, lease_ends)


def _perform(job: LeasedJob[ArgsT], handler: Handler[ArgsT], payload: bytes) -> Write:
    """Perform the effect; returns the write of its result."""
    try:
        result = handler.perform(payload)
    except EffectNotDoneError as error:
        return partial(_reschedule_or_end, job, handler, JobState.SENDING, str(error))
    except EffectRefusedError as error:
        return partial(_end_refused, job, handler, str(error))
    except EffectUnknownError as error:
        return partial(_repeat_or_end, job, handler, str(error))
    except Exception as error:  # any other error: it may have been sent, so nobody may guess
        log.exception("job.effect_failed", job_type=job.job_type, job=str(job.id))
        return partial(_repeat_or_end, job, handler, _error_text(error))
    return partial(_finish_done, job, handler, result)


def _write_with_retry(write: Write, lease_ends: float) -> None:
    """Write a result. While the database is away, try again for as long as the lease lasts.

    A result that is known must not become an unknown one.
    """
    while True:
        try:
            with unit_of_work("jobs", "sweep") as (db, ctx):
                write(db, ctx)
        except DBAPIError as error:
            is_retryable = is_away(error) or isinstance(error, OperationalError | InterfaceError)
            if not is_retryable or time.monotonic() > lease_ends:
                raise
            log.warning("job.result_waits", error=_error_text(error))
            time.sleep(_PAUSE)
        else:
            return


def _reschedule_unsent(
    job: LeasedJob[ArgsT], handler: Handler[ArgsT], lease_ends: float, reason: str
) -> None:
    """Nothing was sent, even if `sending` was committed and only its confirmation was lost."""
    try:
        _write_with_retry(partial(_reschedule_or_end, job, handler, JobState.LEASED, reason), lease_ends)
    except LostLeaseError:
        _write_with_retry(partial(_reschedule_or_end, job, handler, JobState.SENDING, reason), lease_ends)


def _finish_done(
    job: LeasedJob[ArgsT], handler: Handler[ArgsT], result: Any, db: Session, ctx: Context
) -> None:
    handler.record(db, ctx, job, result)
    store.finish(db, job, JobState.SENDING, JobState.DONE)


def _end_refused(
    job: LeasedJob[ArgsT], handler: Handler[ArgsT], reason: str, db: Session, ctx: Context
) -> None:
    _end_as_dead(db, ctx, job, JobState.SENDING, handler, reason, certainly_not_sent=True)


def _reschedule_or_end(
    job: LeasedJob[ArgsT],
    handler: Handler[ArgsT],
    held_as: JobState,
    reason: str,
    db: Session,
    ctx: Context,
) -> None:
    """It was certainly not done: try again later, or end as dead when the attempts are used up."""
    config = settings()
    not_sent = held_as == JobState.SENDING
    exhausted = job.attempts >= config.job_attempts
    if exhausted and not (not_sent and _is_in_retry_window(job, ctx)):
        _end_as_dead(db, ctx, job, held_as, handler, reason, certainly_not_sent=not_sent)
        return
    store.reschedule(
        db,
        job,
        held_as,
        backoff(job.attempts, config.retry_base, config.retry_cap, random.random),
        reason,
        # An earlier try's result stays unknown whatever became of this one: keep its bytes.
        keep_payload=job.payload is not None,
        count_attempt=not exhausted,
        certainly_not_sent=not_sent,
    )


def _repeat_or_end(
    job: LeasedJob[ArgsT], handler: Handler[ArgsT], reason: str, db: Session, ctx: Context
) -> None:
    """The result is unknown: repeat where the policy allows it, otherwise leave it to a person.

    A job that may always be repeated ends as dead when its attempts are used up, so that what follows from
    never doing it does follow.
    """
    config = settings()
    policy = JOB_TYPES[job.job_type].on_unknown_result
    exhausted = job.attempts >= config.job_attempts
    if may_repeat(policy, job.send_attempts + 1) and not (exhausted and not _is_in_retry_window(job, ctx)):
        wait = backoff(job.attempts, config.retry_base, config.retry_cap, random.random)
        store.reschedule(
            db, job, JobState.SENDING, wait, reason, keep_payload=True, count_attempt=not exhausted
        )
    elif policy == OnUnknownResult.REPEAT:
        _end_as_dead(db, ctx, job, JobState.SENDING, handler, reason)
    else:
        store.finish(db, job, JobState.SENDING, JobState.UNCERTAIN, reason)


def _is_in_retry_window(job: LeasedJob[JobArgs], ctx: Context) -> bool:
    """Whether more tries make sense: that a target is away is no fault of the job's."""
    window = settings().outage_retry_window
    return JOB_TYPES[job.job_type].retry_through_outage and ctx.now < job.due_at + window


def _end_as_dead(
    db: Session,
    ctx: Context,
    job: LeasedJob[ArgsT],
    held_as: JobState,
    handler: Handler[ArgsT],
    reason: str,
    *,
    certainly_not_sent: bool = False,
) -> Skipped:
    handler.give_up(db, ctx, job, reason)
    store.finish(db, job, held_as, JobState.DEAD, reason, certainly_not_sent=certainly_not_sent)
    log.error("job.dead", job_type=job.job_type, job=str(job.id), reason=reason)
    return Skipped(reason)
