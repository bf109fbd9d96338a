"""The job ledger's queries. Every write after the lease names id, token and expected state."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.errors import LostLeaseError
from booking_tasks.identity import uuid7
from booking_tasks.jobs.rules import KINDS, LeasedJob, NewJob
from booking_tasks.models import Job

_REAL_TIME = func.clock_timestamp()


def add(db: Session, jobs: Iterable[NewJob]) -> list[NewJob]:
    """Write the jobs whose keys are new; returns those."""
    wanted = {job.key: job for job in jobs}
    if not wanted:
        return []
    rows = [
        {
            "id": uuid7(),
            "key": key,
            "kind": job.kind,
            "subject_id": job.subject_id,
            "revision": job.revision,
            "recipient": job.recipient,
            "detail": job.detail,
            "due_at": job.due_at,
        }
        for key, job in wanted.items()
    ]
    made = db.execute(
        insert(Job).values(rows).on_conflict_do_nothing(index_elements=["key"]).returning(Job.key)
    )
    return [wanted[key] for key in made.scalars()]


def lease(
    db: Session, kind: str, now: datetime, limit: int, term: timedelta, job_id: UUID | None = None
) -> list[LeasedJob]:
    """Take up to `limit` due jobs of a kind for `term` of real time; the attempt is counted here."""
    due = (
        select(Job.id)
        .where(
            Job.state == "waiting",
            Job.kind == kind,
            Job.due_at <= now,
            or_(Job.retry_at.is_(None), Job.retry_at <= _REAL_TIME),
        )
        .order_by(Job.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if job_id is not None:
        due = due.where(Job.id == job_id)
    token = uuid7()
    rows = db.execute(
        update(Job)
        .where(Job.id.in_(due.scalar_subquery()))
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
            Job.kind,
            Job.subject_id,
            Job.revision,
            Job.recipient,
            Job.detail,
            Job.due_at,
            Job.attempts,
            Job.sendings,
            Job.lease_token.label("token"),
            Job.effect,
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
        sendings=Job.sendings + 1,
        effect=effect,
        lease_until=_REAL_TIME + term,
    )


def settle(
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
    values: dict[str, Any] = {"state": state, "settled_at": _REAL_TIME, "last_error": error}
    if certainly_not_sent:
        values["sendings"] = Job.sendings - 1
    unknown = state == "uncertain" or (state == "dead" and job.effect is not None)
    if not unknown:
        values["effect"] = None
    _guarded(db, job, held_as, **values, **_RELEASED)


def put_back(
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
        values["sendings"] = Job.sendings - 1
    if not keep_effect:
        values["effect"] = None
    if not count_attempt:
        values["attempts"] = Job.attempts - 1
    _guarded(db, job, held_as, **values, **_RELEASED)


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
        raise LostLeaseError(f"the lease of {job.kind} {job.id} is no longer ours")


def due_kinds(db: Session, now: datetime) -> set[str]:
    """The kinds of which at least one job is due."""
    due = and_(
        Job.state == "waiting", Job.due_at <= now, or_(Job.retry_at.is_(None), Job.retry_at <= _REAL_TIME)
    )
    return {
        kind for kind in KINDS if db.execute(select(Job.id).where(Job.kind == kind, due).limit(1)).first()
    }


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


def settle_lost_outcomes(db: Session, kind: str, repeat_below: int | None) -> int:
    """Jobs whose worker vanished while sending: repeated (same bytes) or left uncertain.

    `repeat_below` is the number of sendings from which on a person decides; None means never ask.
    """
    error = "the worker vanished while sending: nobody knows whether it went out"
    lost = and_(Job.kind == kind, Job.state == "sending", Job.lease_until <= _REAL_TIME)
    repeatable = lost if repeat_below is None else and_(lost, Job.sendings < repeat_below)
    repeated = db.execute(
        update(Job)
        .where(repeatable)
        .values(state="waiting", last_error=error, **_RELEASED)
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    ).all()
    uncertain = db.execute(
        update(Job)
        .where(lost)
        .values(state="uncertain", settled_at=_REAL_TIME, last_error=error, **_RELEASED)
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    ).all()
    return len(repeated) + len(uncertain)


def replay(db: Session, job_id: UUID) -> bool:
    """Set a dead or uncertain job to waiting with fresh attempts; False when it is neither."""
    changed = db.execute(
        update(Job)
        .where(Job.id == job_id, Job.state.in_(("dead", "uncertain")))
        .values(state="waiting", attempts=0, sendings=0, retry_at=None, settled_at=None)
        .execution_options(synchronize_session=False)
        .returning(Job.id)
    )
    return changed.first() is not None


def tried(db: Session, kind: str, subject_id: UUID, recipient: UUID) -> bool:
    """Whether an effect of this kind may ever have reached the recipient about the subject."""
    return (
        db.execute(
            select(Job.id)
            .where(
                Job.kind == kind, Job.subject_id == subject_id, Job.recipient == recipient, Job.sendings > 0
            )
            .limit(1)
        ).first()
        is not None
    )


def in_flight(db: Session, kind: str, subject_id: UUID, recipient: UUID) -> bool:
    """Whether a worker may be sending an effect of this kind to the recipient at this moment."""
    return (
        db.execute(
            select(Job.id)
            .where(
                Job.kind == kind,
                Job.subject_id == subject_id,
                Job.recipient == recipient,
                Job.state.in_(("leased", "sending")),
            )
            .limit(1)
        ).first()
        is not None
    )


def settled(db: Session, kind: str, subject_id: UUID, revision: int) -> bool:
    """Whether no job of this kind, subject and revision is still to be done."""
    return (
        db.execute(
            select(Job.id)
            .where(
                Job.kind == kind,
                Job.subject_id == subject_id,
                Job.revision == revision,
                Job.settled_at.is_(None),
            )
            .limit(1)
        ).first()
        is None
    )
