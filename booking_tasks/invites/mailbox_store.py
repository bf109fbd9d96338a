"""The queries of what each mailbox holds of an entry, and of which answers and updates there were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.enums import InviteMethod, JobState, Party, SessionStatus
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.store import has_job
from booking_tasks.kit.addresses import mailbox_key
from booking_tasks.models import DirectoryUser, Event, Job, ScheduledSession, SessionMailbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import JobArgs, JobType, SendCancellation, SendNotice

#: The SEQUENCE of the mail that removes a confirmation request, and of the session that it becomes.
RESOLVED_SEQUENCE = 1
#: The states of a job that may still send its mail.
UNFINISHED = (JobState.WAITING, JobState.LEASED, JobState.SENDING)

_revision = Job.args["revision"].as_integer()
#: The events that ask both sides for an answer, because the time or the consultant is new.
_REQUESTING = (EventType.SESSION_SCHEDULED, EventType.SESSION_RESCHEDULED, EventType.SESSION_REASSIGNED)


def is_being_changed(db: Session, session_id: UUID) -> bool:
    """Keep the session as it is until this transaction ends; True when another one is changing it."""
    kept = db.execute(
        select(ScheduledSession.id)
        .where(ScheduledSession.id == session_id)
        .with_for_update(read=True, key_share=True, skip_locked=True)
    )
    return kept.first() is None


def mailboxes(db: Session, scheduled_session_id: UUID) -> list[SessionMailbox]:
    """The mailboxes that were written to about a session or a confirmation request, the last ones first."""
    found = select(SessionMailbox).where(SessionMailbox.scheduled_session_id == scheduled_session_id)
    latest_first = found.order_by(SessionMailbox.sequence.desc(), SessionMailbox.id)
    return list(db.execute(latest_first.execution_options(populate_existing=True)).scalars())


@dataclass(frozen=True)
class Invitation:
    """A mail that puts an entry into a mailbox, or changes it there; the fields are those of the table."""

    scheduled_session_id: UUID
    consultation_request_id: UUID
    user_id: UUID
    party: Party
    address: str
    sequence: int
    content_digest: str | None
    job_id: UUID
    is_tentative: bool = False


def record_invitation(db: Session, invitation: Invitation, now: datetime) -> None:
    """Store that an invitation is about to reach a mailbox; from here on it may hold the entry."""
    box, sequence = SessionMailbox, invitation.sequence
    values = asdict(invitation) | {"method": InviteMethod.REQUEST, "sent_at": None}
    key = {
        "scheduled_session_id": values.pop("scheduled_session_id"),
        "mailbox": mailbox_key(invitation.address),
    }
    new = insert(box).values(**key, **values, invited_sequence=sequence, created_at=now)
    is_same = and_(
        box.method == InviteMethod.REQUEST,
        box.user_id == invitation.user_id,
        box.is_tentative == invitation.is_tentative,
    )
    first = func.least(box.invited_sequence, sequence)
    db.execute(
        new.on_conflict_do_update(
            index_elements=list(key),
            set_=values | {"updated_at": now, "invited_sequence": case((is_same, first), else_=sequence)},
        )
    )


def take_for_cancellation(db: Session, job: LeasedJob[JobArgs], mailbox_id: UUID) -> None:
    """Store which job is about to remove the entry from a mailbox."""
    _change(db, SessionMailbox.id == mailbox_id, job_id=job.id)


def record_sent(db: Session, job: LeasedJob[JobArgs], method: InviteMethod, now: datetime) -> None:
    """Store that the mail server took the mail of a job, unless a later one was begun meanwhile."""
    values: dict[str, Any] = {"method": method, "sent_at": now, "updated_at": now}
    if method == InviteMethod.CANCEL:
        sequence = job.args.revision if isinstance(job.args, SendCancellation) else RESOLVED_SEQUENCE
        values["sequence"] = func.greatest(SessionMailbox.sequence, sequence)
    _change(db, _last_written_by(job), **values)


def forget_refused(db: Session, job: LeasedJob[JobArgs]) -> None:
    """Forget a mailbox whose first invitation was certainly refused: it holds nothing."""
    box = SessionMailbox
    db.execute(
        delete(box)
        .where(_last_written_by(job), box.sent_at.is_(None), box.invited_sequence == box.sequence)
        .execution_options(synchronize_session=False)
    )


def _last_written_by(job: LeasedJob[JobArgs]) -> ColumnElement[bool]:
    """The mailbox whose last mail is that of the job, found by its entry or, of a notice, its request."""
    box, args = SessionMailbox, job.args
    subject = box.consultation_request_id if isinstance(args, SendNotice) else box.scheduled_session_id
    return and_(subject == args.subject_id, box.job_id == job.id)


def _change(db: Session, where: ColumnElement[bool], **values: Any) -> None:
    changed = update(SessionMailbox).where(where).values(**values)
    db.execute(changed.execution_options(synchronize_session=False))


def addresses_of(db: Session, people: Iterable[UUID]) -> set[str]:
    """The mailboxes of these people by the directory, in lower case."""
    found = select(DirectoryUser.email).where(DirectoryUser.user_id.in_(list(people)))
    return {mailbox_key(address) for address in db.execute(found).scalars()}


def answer_due_since(db: Session, session_id: UUID, party: Party) -> int:
    """The revision with which a side was last asked: invited, moved, reassigned, or invited elsewhere."""
    revision = Event.after["revision"].as_integer()
    invited_again = and_(
        Event.type == EventType.SESSION_INVITES_UPDATED, Event.after["invited_again"].contains([party])
    )
    found = select(func.max(revision)).where(
        Event.scheduled_session_id == session_id, or_(Event.type.in_(_REQUESTING), invited_again)
    )
    return db.execute(found).scalar_one() or 0


def is_text_update(db: Session, session_id: UUID, revision: int) -> bool:
    """Whether a revision of a session changed nothing but what the invitations say or where they go."""
    found = select(Event.id).where(
        Event.scheduled_session_id == session_id,
        Event.type == EventType.SESSION_INVITES_UPDATED,
        Event.after["revision"].as_integer() == revision,
    )
    return db.execute(found.limit(1)).first() is not None


def sessions_ahead(
    db: Session, changed_id: UUID, now: datetime, after: UUID | None, limit: int
) -> list[UUID]:
    """The scheduled sessions of a person or a service type that are not over, in order of ids."""
    session = ScheduledSession
    conditions = [
        session.status == SessionStatus.SCHEDULED,
        session.scheduled_end_time > now,
        or_(
            session.requester_user_id == changed_id,
            session.consultant_user_id == changed_id,
            session.consultation_service_type_id == changed_id,
        ),
    ]
    if after is not None:
        conditions.append(session.id > after)
    return list(db.execute(select(session.id).where(*conditions).order_by(session.id).limit(limit)).scalars())


def has_invite(
    db: Session, session_id: UUID, recipient: UUID, since: int, states: Iterable[JobState]
) -> bool:
    """Whether a side has an invitation of a revision from `since` on in one of these states."""
    return has_job(
        db,
        Job.job_type == JobType.SEND_INVITE,
        Job.subject_id == session_id,
        Job.args["recipient"].astext == str(recipient),
        _revision >= since,
        Job.state.in_(list(states)),
    )


def is_removal_ordered(db: Session, box: SessionMailbox) -> bool:
    """Whether a cancellation to just this mailbox was ordered after the last mail to it."""
    return has_job(
        db,
        Job.job_type == JobType.SEND_CANCELLATION,
        Job.subject_id == box.scheduled_session_id,
        Job.args["mailbox_id"].astext == str(box.id),
        _revision > box.sequence,
    )


def is_removal_unfinished(db: Session, box: SessionMailbox) -> bool:
    """Whether a cancellation to just this mailbox is ordered and not known to be sent."""
    return has_job(
        db,
        Job.job_type == JobType.SEND_CANCELLATION,
        Job.subject_id == box.scheduled_session_id,
        Job.args["mailbox_id"].astext == str(box.id),
        Job.state.in_(UNFINISHED),
    )
