"""Running due jobs: lease, prepare, commit `sending`, send outside any transaction, finish.

Each package has a handler for its job types; what is common to all types is here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from booking_tasks.context import Context
from booking_tasks.enums import JobState, PutOffReason
from booking_tasks.jobs import put_off, store
from booking_tasks.jobs.handlers import Handler, InternalHandler
from booking_tasks.jobs.rules import Failure, LeasedJob, backoff, may_repeat, shortened, wait_for_data
from booking_tasks.jobs.steps import Finished, Send, Skipped, Snooze, Step
from booking_tasks.kit.database_errors import is_away
from booking_tasks.kit.errors import (
    AwaitedDataError,
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
from booking_tasks.outbox.jobs import JOB_TYPES, Deadline, OnUnknownResult
from booking_tasks.unit_of_work import unit_of_work
from booking_tasks.wakeup import wake

__all__ = ["Finished", "Handler", "InternalHandler", "Send", "Skipped", "Snooze", "Step", "run_due"]

log = logger(__name__)

#: Seconds between two tries to write a result.
_PAUSE = 0.2
#: What is logged once a result is committed.
AfterCommit = Callable[[], None]
#: The write of a result, run in whatever transaction succeeds first.
Write = Callable[[Session, Context], AfterCommit]


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
    is_person = job.args.subject_name() in {"changed", "consultant", "user"}  # logs name no person
    subject = {} if is_person else {job.args.subject_name(): str(job.args.subject_id)}
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
        except AwaitedDataError as error:
            _write_with_retry(partial(_wait_for_data, job, error), lease_ends)
            return
        except EffectNotDoneError as error:  # foreseen: what the effect needs is not there yet
            _reschedule_unsent(job, handler, lease_ends, Failure(error.reason, str(error)))
            return
        except Exception as error:  # a mistake in our code costs this job a try, and the others nothing
            log.exception("job.failed")
            failure = Failure(PutOffReason.FAILED, _error_text(error), foreseen=False)
            _reschedule_unsent(job, handler, lease_ends, failure)
            return
        if isinstance(step, Send):
            _send(job, handler, step, lease_ends)
        elif step is not None:
            log.info("job.ran", step=type(step).__name__)
    except LostLeaseError as error:
        log.warning("job.lease_lost", error=str(error))
    except Exception:
        # The lease runs out and the sweep decides by policy; one job must not end its worker.
        log.exception("job.result_not_written")


def _prepare(job: LeasedJob[ArgsT], handler: Handler[ArgsT]) -> Step | None:
    """Let the handler decide; None when every attempt is used up and the job has ended."""
    config = settings()
    with unit_of_work("jobs", "sweep") as (db, ctx):
        if job.attempts > config.job_attempts:
            after_commit = _end_as_dead(db, ctx, job, JobState.LEASED, handler, "every attempt failed")
        else:
            step = handler.prepare(db, ctx, job)
            _store_step(db, job, step)
            return step
    after_commit()
    return None


def _store_step(db: Session, job: LeasedJob[ArgsT], step: Step) -> None:
    if isinstance(step, Finished):
        store.finish(db, job, JobState.LEASED, JobState.DONE)
    elif isinstance(step, Skipped):
        store.finish(db, job, JobState.LEASED, JobState.SKIPPED, step.reason)
    elif isinstance(step, Snooze):
        failure = Failure(PutOffReason.SNOOZED, step.reason)
        keep = job.payload is not None
        store.reschedule(db, job, JobState.LEASED, step.wait, failure, keep_payload=keep, count_attempt=False)
    else:
        store.begin_sending(db, job, step.payload, settings().lease)


def _send(job: LeasedJob[ArgsT], handler: Handler[ArgsT], step: Send, lease_ends: float) -> None:
    latest_start = lease_ends - settings().lease / timedelta(seconds=2)
    if time.monotonic() > latest_start:  # an effect takes up to half a lease: it would outlast this one
        failure = Failure(PutOffReason.HELD_UP, "it was held up before it was sent")
        write: Write = partial(_reschedule_or_end, job, handler, JobState.SENDING, failure, step)
    else:
        write = _perform(job, handler, step)
    _write_with_retry(write, lease_ends)


def _perform(job: LeasedJob[ArgsT], handler: Handler[ArgsT], step: Send) -> Write:
    """Perform the effect; returns the write of its result."""
    try:
        result = handler.perform(step.payload)
    except EffectNotDoneError as error:
        failure = Failure(error.reason, str(error))
        return partial(_reschedule_or_end, job, handler, JobState.SENDING, failure, step)
    except EffectRefusedError as error:
        return partial(_end_refused, job, handler, str(error))
    except EffectUnknownError as error:
        failure = Failure(PutOffReason.REPLY_LOST, str(error))
        return partial(_repeat_or_end, job, handler, failure, step)
    except Exception as error:  # any other error: it may have been sent, so nobody may guess
        log.exception("job.effect_failed", job_type=job.job_type, job=str(job.id))
        failure = Failure(PutOffReason.FAILED, _error_text(error), foreseen=False)
        return partial(_repeat_or_end, job, handler, failure, step)
    return partial(_finish_done, job, handler, result)


def _write_with_retry(write: Write, lease_ends: float) -> None:
    """Write a result. While the database is away, try again for as long as the lease lasts.

    A result that is known must not become an unknown one.
    """
    while True:
        try:
            with unit_of_work("jobs", "sweep") as (db, ctx):
                after_commit = write(db, ctx)
        except DBAPIError as error:
            is_retryable = is_away(error) or isinstance(error, OperationalError | InterfaceError)
            if not is_retryable or time.monotonic() > lease_ends:
                raise
            log.warning("job.result_waits", error=_error_text(error))
            time.sleep(_PAUSE)
        else:
            after_commit()
            return


def _reschedule_unsent(
    job: LeasedJob[ArgsT], handler: Handler[ArgsT], lease_ends: float, failure: Failure
) -> None:
    """Nothing was sent, even if `sending` was committed and only its confirmation was lost."""
    try:
        write: Write = partial(_reschedule_or_end, job, handler, JobState.LEASED, failure, None)
        _write_with_retry(write, lease_ends)
    except LostLeaseError:
        write = partial(_reschedule_or_end, job, handler, JobState.SENDING, failure, None)
        _write_with_retry(write, lease_ends)


def _wait_for_data(job: LeasedJob[ArgsT], error: AwaitedDataError, db: Session, ctx: Context) -> AfterCommit:
    """Return a job to waiting uncounted until data of our own is there, or end it once it is useless."""
    config = settings()
    waited = ctx.now - job.due_at
    if JOB_TYPES[job.job_type].deadline == Deadline.WINDOW and waited > config.outage_retry_window:
        store.finish(db, job, JobState.LEASED, JobState.SKIPPED, f"too late: {error}")
        return lambda: log.info("job.ran", step=Skipped.__name__)
    wait = wait_for_data(waited, config.retry_base, config.retry_cap)
    failure = Failure(error.reason, str(error))
    keep = job.payload is not None
    store.reschedule(db, job, JobState.LEASED, wait, failure, keep_payload=keep, count_attempt=False)
    return lambda: log.info("job.waits_for_data", reason=failure.reason)


def _finish_done(
    job: LeasedJob[ArgsT], handler: Handler[ArgsT], result: Any, db: Session, ctx: Context
) -> AfterCommit:
    handler.record(db, ctx, job, result)
    store.finish(db, job, JobState.SENDING, JobState.DONE)
    target = JOB_TYPES[job.job_type].target
    recovered = 0 if target is None else put_off.make_due_after_recovery(db, target)

    def report() -> None:
        log.info("job.ran", step=Send.__name__)
        if recovered:
            log.info("target.recovered", target=target, jobs=recovered)

    return report


def _end_refused(
    job: LeasedJob[ArgsT], handler: Handler[ArgsT], reason: str, db: Session, ctx: Context
) -> AfterCommit:
    return _end_as_dead(db, ctx, job, JobState.SENDING, handler, reason, certainly_not_sent=True)


def _reschedule_or_end(
    job: LeasedJob[ArgsT],
    handler: Handler[ArgsT],
    held_as: JobState,
    failure: Failure,
    step: Send | None,
    db: Session,
    ctx: Context,
) -> AfterCommit:
    """It was certainly not done: try again later, or end as dead when the job's deadline is over."""
    not_sent = held_as == JobState.SENDING
    if _is_over(job, failure, step, ctx):
        return _end_as_dead(db, ctx, job, held_as, handler, failure.text, certainly_not_sent=not_sent)
    # An earlier try's result stays unknown whatever became of this one: keep its bytes.
    keep = job.payload is not None
    return _put_off(db, ctx, job, handler, held_as, failure, step, keep, certainly_not_sent=not_sent)


def _repeat_or_end(
    job: LeasedJob[ArgsT],
    handler: Handler[ArgsT],
    failure: Failure,
    step: Send,
    db: Session,
    ctx: Context,
) -> AfterCommit:
    """The result is unknown: repeat where the policy allows it, otherwise leave it to a person.

    A job that may always be repeated ends as dead at its deadline, so that what follows from never doing it
    does follow.
    """
    policy = JOB_TYPES[job.job_type].on_unknown_result
    if may_repeat(policy, job.send_attempts + 1) and not _is_over(job, failure, step, ctx):
        return _put_off(db, ctx, job, handler, JobState.SENDING, failure, step, keep_payload=True)
    if policy == OnUnknownResult.REPEAT:
        return _end_as_dead(db, ctx, job, JobState.SENDING, handler, failure.text)
    store.finish(db, job, JobState.SENDING, JobState.UNCERTAIN, failure.text)
    return lambda: log.error("job.uncertain", reason=failure.reason, error=failure.text)


def _put_off(
    db: Session,
    ctx: Context,
    job: LeasedJob[ArgsT],
    handler: Handler[ArgsT],
    held_as: JobState,
    failure: Failure,
    step: Send | None,
    keep_payload: bool,
    *,
    certainly_not_sent: bool = False,
) -> AfterCommit:
    """Return the job to waiting. Attempts stay below their limit: what kills its worker still counts."""
    config = settings()
    wait = backoff(job.attempts, config.retry_base, config.retry_cap, random.random)
    ahead = () if step is None else (step.needed_by, step.useful_until)
    wait = shortened(wait, ctx.now, config.retry_base, ahead)
    late = job.attempts >= config.job_attempts
    if late:
        handler.record_delay(db, ctx, job, failure.text)
    store.reschedule(
        db,
        job,
        held_as,
        wait,
        failure,
        keep_payload=keep_payload,
        count_attempt=not late,
        certainly_not_sent=certainly_not_sent,
    )
    seconds = round(wait / timedelta(seconds=1), 1)
    return lambda: log.warning("job.put_off", reason=failure.reason, error=failure.text, wait=seconds)


def _is_over(job: LeasedJob[JobArgs], failure: Failure, step: Send | None, ctx: Context) -> bool:
    """Whether no more tries are made: that a target is away is no fault of the job's (`Deadline`)."""
    config = settings()
    if job.attempts < config.job_attempts:
        return False
    deadline = JOB_TYPES[job.job_type].deadline
    if deadline == Deadline.ATTEMPTS or not failure.foreseen:
        return True
    useful_until = (step and step.useful_until) or job.due_at
    window_ends = max(job.due_at + config.outage_retry_window, useful_until)
    return deadline == Deadline.WINDOW and ctx.now >= window_ends


def _end_as_dead(
    db: Session,
    ctx: Context,
    job: LeasedJob[ArgsT],
    held_as: JobState,
    handler: Handler[ArgsT],
    reason: str,
    *,
    certainly_not_sent: bool = False,
) -> AfterCommit:
    handler.give_up(db, ctx, job, reason)
    store.finish(db, job, held_as, JobState.DEAD, reason, certainly_not_sent=certainly_not_sent)
    return lambda: log.error("job.dead", job_type=job.job_type, job=str(job.id), reason=reason)
