"""The queries of the jobs table. Every write after the lease names id, token and expected state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    CursorResult,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    and_,
    bindparam,
    case,
    column,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import INTERVAL, JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.enums import JobState
from booking_tasks.jobs.recoveries import recoveries_in_vain, stored_reason
from booking_tasks.jobs.rules import UNDECIDED, Failure, JobFilter, LeasedJob
from booking_tasks.kit.errors import LostLeaseError
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest, Event, Job, ScheduledSession
from booking_tasks.outbox.job_args import ArgsT, JobArgs, JobType, parse_args
from booking_tasks.outbox.jobs import job_types_of
from booking_tasks.sql import query

#: States in which a worker may be sending the effect at this moment.
IN_FLIGHT = (JobState.LEASED, JobState.SENDING)
#: The error text of a job whose arguments cannot be parsed.
UNREADABLE = "its arguments do not fit this release"

_REAL_TIME = func.clock_timestamp()
#: Fixed text: every worker runs it for each wake-up, and building it took longer than running it.
_LEASE = (
    query(__package__, "lease")
    .bindparams(
        bindparam("token", type_=PG_UUID(as_uuid=True)),
        bindparam("now", type_=TIMESTAMP(timezone=True)),
        bindparam("term", type_=INTERVAL),
    )
    .columns(
        column("id", PG_UUID(as_uuid=True)),
        column("key", String),
        column("args", JSONB),
        column("due_at", TIMESTAMP(timezone=True)),
        column("attempts", Integer),
        column("send_attempts", Integer),
        column("token", PG_UUID(as_uuid=True)),
        column("payload", LargeBinary),
    )
)


@dataclass(frozen=True)
class UnreadableJob:
    """A job that ended as dead because its arguments do not fit this release."""

    id: UUID
    key: str


def lease(
    db: Session, args_type: type[ArgsT], now: datetime, limit: int, term: timedelta
) -> tuple[list[LeasedJob[ArgsT]], list[UnreadableJob]]:
    """Take up to `limit` due jobs of one type for `term` of real time; the attempt is counted here.

    A job whose worker vanished is taken alone: if that job is what ends workers, the others of the batch
    must not lose their attempts with it. Jobs whose arguments cannot be parsed end as dead at once; they
    are the second list.
    """
    jobs: list[LeasedJob[ArgsT]] = []
    unreadable: list[UnreadableJob] = []
    for row in _leased_rows(db, args_type.job_type, now, limit, term):
        values = dict(row)
        stored = values.pop("args")
        try:
            jobs.append(LeasedJob(args=parse_args(args_type, stored), **values))
        except ValueError:
            unreadable.append(UnreadableJob(row["id"], row["key"]))
    if unreadable:
        _end_unreadable(db, unreadable)
    return sorted(jobs, key=lambda job: (job.due_at, job.key)), unreadable


def _leased_rows(
    db: Session, job_type: JobType, now: datetime, limit: int, term: timedelta
) -> Sequence[RowMapping]:
    values = {"job_type": job_type, "now": now, "batch": limit, "term": term, "token": uuid7()}
    return db.execute(_LEASE, values).mappings().all()


def _end_unreadable(db: Session, unreadable: Iterable[UnreadableJob]) -> None:
    db.execute(
        update(Job)
        .where(Job.id.in_([job.id for job in unreadable]))
        .values(state=JobState.DEAD, finished_at=_REAL_TIME, last_error=UNREADABLE, **_RELEASED)
        .execution_options(synchronize_session=False)
    )


def begin_sending(db: Session, job: LeasedJob[JobArgs], payload: bytes, term: timedelta) -> None:
    """Store what is about to be sent and renew the lease. Raises LostLeaseError."""
    _guarded(
        db,
        job,
        JobState.LEASED,
        state=JobState.SENDING,
        send_attempts=Job.send_attempts + 1,
        payload=payload,
        lease_until=_REAL_TIME + term,
    )


def finish(
    db: Session,
    job: LeasedJob[JobArgs],
    held_as: JobState,
    state: JobState,
    error: str | None = None,
    *,
    certainly_not_sent: bool = False,
) -> None:
    """End a job: done, skipped, uncertain or dead. Raises LostLeaseError.

    The payload is removed unless its result is unknown. With `certainly_not_sent` the last send attempt
    does not count: nobody can have received it.
    """
    values: dict[str, Any] = {"state": state, "finished_at": _REAL_TIME, "last_error": error}
    values["put_off_reason"] = None
    if certainly_not_sent:
        values["send_attempts"] = Job.send_attempts - 1
    unknown = state == JobState.UNCERTAIN or (state == JobState.DEAD and job.payload is not None)
    if not unknown:
        values["payload"] = None
    _guarded(db, job, held_as, **values, **_RELEASED)


def reschedule(
    db: Session,
    job: LeasedJob[JobArgs],
    held_as: JobState,
    wait: timedelta,
    failure: Failure,
    *,
    keep_payload: bool = False,
    count_attempt: bool = True,
    certainly_not_sent: bool = False,
) -> None:
    """Return a job to waiting, not before `wait` of real time. Raises LostLeaseError.

    `certainly_not_sent` as in `finish`.
    """
    values: dict[str, Any] = {
        "state": JobState.WAITING,
        "retry_at": _REAL_TIME + wait,
        "last_error": failure.text,
        "put_off_reason": stored_reason(failure.reason),
        "recoveries": recoveries_in_vain(failure.reason),
    }
    if certainly_not_sent:
        values["send_attempts"] = Job.send_attempts - 1
    if not keep_payload:
        values["payload"] = None
    if not count_attempt:
        values["attempts"] = Job.attempts - 1
    _guarded(db, job, held_as, **values, **_RELEASED)


def release(db: Session, jobs: Iterable[LeasedJob[JobArgs]]) -> int:
    """Return jobs that were leased and never begun to waiting; the attempt does not count. Returns how many.

    Jobs that are no longer held under their token are left alone.
    """
    returned = db.execute(
        update(Job)
        .where(
            tuple_(Job.id, Job.lease_token).in_([(job.id, job.token) for job in jobs]),
            Job.state == JobState.LEASED,
            Job.lease_until > _REAL_TIME,
        )
        .values(state=JobState.WAITING, attempts=Job.attempts - 1, **_RELEASED)
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    )
    return len(returned.all())


_RELEASED: dict[str, Any] = {"lease_token": None, "lease_until": None}


def _guarded(db: Session, job: LeasedJob[JobArgs], held_as: JobState, **values: Any) -> None:
    changed = db.execute(
        update(Job)
        .where(
            Job.id == job.id,
            Job.lease_token == job.token,
            Job.state == held_as,
            Job.lease_until > _REAL_TIME,
        )
        .values(values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)  # noqa: S101 - narrows the type of an UPDATE's result
    if changed.rowcount != 1:
        raise LostLeaseError(f"the lease of {job.job_type} {job.id} is no longer ours")


def due_job_types(db: Session, now: datetime) -> set[JobType]:
    """The types of which at least one job is due: reads the head of the index once for each type."""
    job_type = func.unnest(literal(list(JobType), ARRAY(String))).column_valued("due_type")
    first = (
        select(Job.id)
        .where(
            Job.job_type == job_type,
            Job.state == JobState.WAITING,
            Job.due_at <= now,
            or_(Job.retry_at.is_(None), Job.retry_at <= _REAL_TIME),
        )
        .order_by(Job.due_at)
        .limit(1)
        .lateral()
    )
    found = db.execute(select(job_type).join(first, literal(value=True))).scalars()
    return {JobType(name) for name in found}


def return_expired_leases(db: Session) -> int:
    """Return jobs whose worker vanished before it sent anything to waiting; the attempt stays counted."""
    returned = db.execute(
        update(Job)
        .where(Job.state == JobState.LEASED, Job.lease_until <= _REAL_TIME)
        .values(state=JobState.WAITING, last_error="the worker vanished before it sent anything", **_RELEASED)
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    )
    return len(returned.all())


def resolve_unknown_results(db: Session, repeat_below: Mapping[JobType, int | None]) -> int:
    """Repeat jobs whose worker vanished while sending (same bytes), or leave them uncertain.

    `repeat_below` maps each type to the number of send attempts from which a person decides; None means
    never. One statement, so that each job is decided once: a lease may run out while it runs.
    """
    repeated = or_(
        *(
            Job.job_type == job_type
            if limit is None
            else and_(Job.job_type == job_type, Job.send_attempts < limit)
            for job_type, limit in repeat_below.items()
        )
    )
    resolved = db.execute(
        update(Job)
        .where(Job.job_type.in_(repeat_below), Job.state == JobState.SENDING, Job.lease_until <= _REAL_TIME)
        .values(
            state=case((repeated, JobState.WAITING), else_=JobState.UNCERTAIN),
            finished_at=case((repeated, None), else_=_REAL_TIME),
            last_error="the worker vanished while sending: nobody knows whether it went out",
            **_RELEASED,
        )
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    )
    return len(resolved.all())


def jobs_matching(db: Session, which: JobFilter, limit: int, *, undecided: bool = False) -> list[Job]:
    """The jobs that a filter selects, oldest first.

    With `undecided`, only those that wait for a person, locked; rows that others have locked are left out.
    """
    found = select(Job).where(*_matching(which)).order_by(Job.due_at, Job.id).limit(limit)
    if undecided:
        found = found.where(Job.state.in_(UNDECIDED)).with_for_update(skip_locked=True)
    return list(db.execute(found.execution_options(populate_existing=True)).scalars())


def _matching(which: JobFilter) -> Iterator[ColumnElement[bool]]:
    if which.job_id is not None:
        yield Job.id == which.job_id
    if which.job_type is not None:
        yield Job.job_type == which.job_type
    if which.state is not None:
        yield Job.state == which.state
    if which.target is not None:
        yield Job.job_type.in_(job_types_of(which.target))
    if which.put_off:
        yield and_(Job.state == JobState.WAITING, Job.retry_at > func.statement_timestamp())
    if which.since is not None:
        yield func.coalesce(Job.finished_at, Job.created_at) >= which.since
    if which.about is not None:
        yield Job.subject_id.in_(
            union_all(
                select(literal(which.about)),
                select(ScheduledSession.id).where(ScheduledSession.consultation_request_id == which.about),
                select(Event.id).where(Event.consultation_request_id == which.about),
                select(Event.id).where(Event.scheduled_session_id == which.about),
            )
        )


def replay(db: Session, job_id: UUID) -> None:
    """Set a dead or uncertain job to waiting with fresh attempts.

    Send attempts stay counted: a cancellation must follow an invite that may have arrived before.
    """
    fresh = {"attempts": 0, "retry_at": None, "finished_at": None, "put_off_reason": None, "recoveries": 0}
    _decide(db, job_id, state=JobState.WAITING, **fresh)


def discard(db: Session, job_id: UUID, reason: str) -> None:
    """End a dead or uncertain job as skipped, and remove its payload."""
    _decide(db, job_id, state=JobState.SKIPPED, finished_at=_REAL_TIME, last_error=reason, payload=None)


def _decide(db: Session, job_id: UUID, **values: Any) -> None:
    db.execute(
        update(Job)
        .where(Job.id == job_id, Job.state.in_(UNDECIDED))
        .values(values)
        .execution_options(synchronize_session=False)
    )


def subject(db: Session, job: Job) -> tuple[ConsultationRequest | None, ScheduledSession | None]:
    """The request and the session that a job is about, as far as there are any."""
    event = db.get(Event, job.subject_id)
    session = db.get(ScheduledSession, (event.scheduled_session_id if event else None) or job.subject_id)
    if session is not None:
        return None, session
    return db.get(
        ConsultationRequest, (event.consultation_request_id if event else None) or job.subject_id
    ), None


def is_in_flight(db: Session, job_type: JobType, subject_id: UUID, recipient: UUID) -> bool:
    """Whether a worker may be sending an effect of this type to the recipient at this moment."""
    return has_job(
        db,
        Job.job_type == job_type,
        Job.subject_id == subject_id,
        Job.args["recipient"].astext == str(recipient),
        Job.state.in_(IN_FLIGHT),
    )


def has_job(db: Session, *conditions: ColumnElement[bool]) -> bool:
    """Whether there is any job for which all conditions hold."""
    return db.execute(select(Job.id).where(*conditions).limit(1)).first() is not None
