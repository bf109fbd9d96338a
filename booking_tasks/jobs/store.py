"""The job ledger's queries. Every write after the lease names id, token and expected state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    CursorResult,
    String,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.orm import Session

from booking_tasks.jobs.rules import UNDECIDED, JobFilter, LeasedJob
from booking_tasks.kit.errors import LostLeaseError
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest, Event, Job, ScheduledSession
from booking_tasks.outbox.jobs import JOB_TYPES

_REAL_TIME = func.clock_timestamp()


def lease(db: Session, kind: str, now: datetime, limit: int, term: timedelta) -> list[LeasedJob]:
    """Take up to `limit` due jobs of a kind for `term` of real time; the attempt is counted here.

    A job whose worker vanished is taken alone: if it is what ends workers, those that stood behind it
    in the batch must not lose their attempts with it.
    """
    due = (
        select(Job.id, Job.due_at, and_(Job.attempts > 0, Job.retry_at.is_(None)).label("suspect"))
        .where(
            Job.state == "waiting",
            Job.job_type == kind,
            Job.due_at <= now,
            or_(Job.retry_at.is_(None), Job.retry_at <= _REAL_TIME),
        )
        .order_by(Job.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = due.cte("due").c  # a CTE runs once; a subquery may run again and lock more
    queue = (found.due_at, found.id)
    places = select(
        found.id,
        func.row_number().over(order_by=queue).label("place"),
        func.count().filter(found.suspect).over(order_by=queue).label("suspects"),
    ).subquery()
    token = uuid7()
    rows = db.execute(
        update(Job)
        .where(Job.id.in_(select(places.c.id).where(or_(places.c.place == 1, places.c.suspects == 0))))
        .values(
            state="leased",
            attempts=Job.attempts + 1,
            retry_at=None,
            lease_token=token,
            lease_until=_REAL_TIME + term,
        )
        .returning(
            Job.id,
            Job.key,
            Job.job_type,
            Job.subject_id,
            Job.revision,
            Job.recipient,
            Job.detail,
            Job.due_at,
            Job.attempts,
            Job.send_attempts,
            Job.lease_token.label("token"),
            Job.payload,
        )
        .execution_options(synchronize_session=False)
    )
    return sorted((LeasedJob(**row) for row in rows.mappings()), key=lambda job: (job.due_at, job.key))


def begin_sending(db: Session, job: LeasedJob, effect: bytes, term: timedelta) -> None:
    """Write down what is about to be sent and renew the lease. Raises LostLeaseError."""
    _guarded(
        db,
        job,
        "leased",
        state="sending",
        send_attempts=Job.send_attempts + 1,
        payload=effect,
        lease_until=_REAL_TIME + term,
    )


def finish(
    db: Session,
    job: LeasedJob,
    held_as: str,
    state: str,
    error: str | None = None,
    *,
    certainly_not_sent: bool = False,
) -> None:
    """End a job: done, skipped, uncertain or dead. Raises LostLeaseError.

    What was sent is forgotten unless its outcome is unknown. With `certainly_not_sent` the last
    sending does not count: nobody can have received it.
    """
    values: dict[str, Any] = {"state": state, "finished_at": _REAL_TIME, "last_error": error}
    if certainly_not_sent:
        values["send_attempts"] = Job.send_attempts - 1
    unknown = state == "uncertain" or (state == "dead" and job.payload is not None)
    if not unknown:
        values["payload"] = None
    _guarded(db, job, held_as, **values, **_RELEASED)


def reschedule(
    db: Session,
    job: LeasedJob,
    held_as: str,
    wait: timedelta,
    reason: str,
    *,
    keep_effect: bool = False,
    count_attempt: bool = True,
    certainly_not_sent: bool = False,
) -> None:
    """Return a job to waiting, not before `wait` of real time. Raises LostLeaseError.

    `certainly_not_sent` as in `settle`.
    """
    values: dict[str, Any] = {"state": "waiting", "retry_at": _REAL_TIME + wait, "last_error": reason}
    if certainly_not_sent:
        values["send_attempts"] = Job.send_attempts - 1
    if not keep_effect:
        values["payload"] = None
    if not count_attempt:
        values["attempts"] = Job.attempts - 1
    _guarded(db, job, held_as, **values, **_RELEASED)


def release(db: Session, jobs: Iterable[LeasedJob]) -> int:
    """Return to waiting what was leased and never begun; the attempt does not count. Returns how many.

    Whatever is no longer held under its token is left alone.
    """
    returned = db.execute(
        update(Job)
        .where(
            tuple_(Job.id, Job.lease_token).in_([(job.id, job.token) for job in jobs]),
            Job.state == "leased",
            Job.lease_until > _REAL_TIME,
        )
        .values(state="waiting", attempts=Job.attempts - 1, **_RELEASED)
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    )
    return len(returned.all())


_RELEASED: dict[str, Any] = {"lease_token": None, "lease_until": None}


def _guarded(db: Session, job: LeasedJob, held_as: str, **values: Any) -> None:
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


def due_kinds(db: Session, now: datetime) -> set[str]:
    """The kinds of which at least one job is due: one look at the head of the index for each."""
    wanted = func.unnest(literal(list(JOB_TYPES), ARRAY(String))).column_valued("wanted")
    first = (
        select(Job.id)
        .where(
            Job.job_type == wanted,
            Job.state == "waiting",
            Job.due_at <= now,
            or_(Job.retry_at.is_(None), Job.retry_at <= _REAL_TIME),
        )
        .order_by(Job.due_at)
        .limit(1)
        .lateral()
    )
    return set(db.execute(select(wanted).join(first, literal(value=True))).scalars())


def return_expired_leases(db: Session) -> int:
    """Jobs whose worker vanished before it began to send: back to waiting, the attempt stays counted."""
    returned = db.execute(
        update(Job)
        .where(Job.state == "leased", Job.lease_until <= _REAL_TIME)
        .values(state="waiting", last_error="the worker vanished before it sent anything", **_RELEASED)
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    )
    return len(returned.all())


def settle_lost_outcomes(db: Session, repeat_below: Mapping[str, int | None]) -> int:
    """Jobs whose worker vanished while sending: repeated (same bytes) or left uncertain.

    `repeat_below` says of each kind from which number of send attempts on a person decides; None means never.
    One statement, so that each job is judged once: a lease may run out while it runs.
    """
    repeated = or_(
        *(
            Job.job_type == kind if limit is None else and_(Job.job_type == kind, Job.send_attempts < limit)
            for kind, limit in repeat_below.items()
        )
    )
    settled = db.execute(
        update(Job)
        .where(Job.job_type.in_(repeat_below), Job.state == "sending", Job.lease_until <= _REAL_TIME)
        .values(
            state=case((repeated, "waiting"), else_="uncertain"),
            finished_at=case((repeated, None), else_=_REAL_TIME),
            last_error="the worker vanished while sending: nobody knows whether it went out",
            **_RELEASED,
        )
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    )
    return len(settled.all())


def wanted(db: Session, which: JobFilter, limit: int, *, undecided: bool = False) -> list[Job]:
    """The jobs that an operator means, oldest first.

    With `undecided`, only those that wait for a person, locked; what somebody else holds is left out.
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

    What was sent stays counted: a cancellation must follow an invite that may have arrived before.
    """
    _decide(db, job_id, state="waiting", attempts=0, retry_at=None, finished_at=None)


def discard(db: Session, job_id: UUID, reason: str) -> None:
    """End a dead or uncertain job as skipped; what was to be sent is forgotten."""
    _decide(db, job_id, state="skipped", finished_at=_REAL_TIME, last_error=reason, payload=None)


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


def in_flight(db: Session, kind: str, subject_id: UUID, recipient: UUID) -> bool:
    """Whether a worker may be sending an effect of this kind to the recipient at this moment."""
    return exists_where(
        db,
        Job.job_type == kind,
        Job.subject_id == subject_id,
        Job.recipient == recipient,
        Job.state.in_(("leased", "sending")),
    )


def exists_where(db: Session, *conditions: ColumnElement[bool]) -> bool:
    """Whether any job is so."""
    return db.execute(select(Job.id).where(*conditions).limit(1)).first() is not None
