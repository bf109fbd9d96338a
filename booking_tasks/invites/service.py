"""Whether and what to write into people's calendars, decided each time a job runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.enums import InviteMethod, Party
from booking_tasks.invites import mailbox_store as boxes
from booking_tasks.invites import removal, rules, store
from booking_tasks.invites.calendar import content_digest
from booking_tasks.invites.confirmation_entries import compose_tentative_removal
from booking_tasks.invites.session_mail import compose_session_mail
from booking_tasks.jobs import store as jobs
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.kit.addresses import mailbox_key
from booking_tasks.mail.calendar_copy import CalendarCopy, Sender
from booking_tasks.mail.store import absence_step_state, calendar_copy, session_times
from booking_tasks.mail.waiting import hold_for_absence
from booking_tasks.models import ScheduledSession, SessionMailbox
from booking_tasks.outbox.job_args import (
    JobArgs,
    JobType,
    NoticeType,
    SendCancellation,
    SendInvite,
    SendNotice,
)
from booking_tasks.sessions.answers import answer_of


def compose_invite(
    db: Session, ctx: Context, sender: Sender, job: LeasedJob[SendInvite]
) -> bytes | Skipped | Snooze:
    """Compose the invitation or update of the session's current revision, or return why none is due.

    Raises AwaitedDataError while the directory cannot address the recipient.
    """
    if boxes.is_being_changed(db, job.args.session_id):
        return _no_session(db, job.args.session_id)
    session, recipient = store.session(db, job.args.session_id), job.args.recipient
    if session is None or recipient not in (session.requester_user_id, session.consultant_user_id):
        return Skipped("the recipient has no part in the session")
    reason = rules.invite_skip_reason(
        session.status, session.scheduled_end_time, session.revision, job.args.revision, ctx.now
    )
    if reason is not None:
        return Skipped(reason)
    wait = hold_for_absence(absence_step_state(db, session.id))
    if wait is not None:
        return wait
    party = Party.REQUESTER if recipient == session.requester_user_id else Party.CONSULTANT
    since = boxes.answer_due_since(db, session.id, party)
    copy = replace(
        calendar_copy(db, sender, session, recipient, ctx.policies),
        answer=answer_of(db, session, recipient),
    )
    digest, box = content_digest(copy, sender), _held_by(db, session, copy, recipient)
    if _is_shown(db, session, box, digest, since):
        return Skipped("the mailbox shows this already")
    changed = _is_update(db, session, recipient, box)
    if job.payload is None:
        boxes.record_invitation(db, _invitation(session, job, party, copy, digest), ctx.now)
    return compose_session_mail(copy, sender, job, "REQUEST", "update" if changed else "invite")


def _invitation(
    session: ScheduledSession, job: LeasedJob[SendInvite], party: Party, copy: CalendarCopy, digest: str
) -> boxes.Invitation:
    """What a new mail puts into a mailbox; a repeat sends the bytes whose mailbox is stored already."""
    return boxes.Invitation(
        scheduled_session_id=session.id,
        consultation_request_id=session.consultation_request_id,
        user_id=job.args.recipient,
        party=party,
        address=copy.recipient.mailbox.address,
        sequence=session.revision,
        content_digest=digest,
        job_id=job.id,
    )


def _is_shown(
    db: Session, session: ScheduledSession, box: SessionMailbox | None, digest: str, since: int
) -> bool:
    """Whether an update that asks nothing would change nothing in the recipient's calendar."""
    return (
        box is not None
        and box.sent_at is not None
        and box.content_digest == digest
        and box.sequence >= since
        and boxes.is_text_update(db, session.id, session.revision)
    )


def _no_session(db: Session, session_id: UUID) -> Skipped | Snooze:
    if store.session(db, session_id) is None:
        return Skipped("the recipient has no part in the session")
    return Snooze("the session is being changed")


def _held_by(
    db: Session, session: ScheduledSession, copy: CalendarCopy, recipient: UUID
) -> SessionMailbox | None:
    """The recipient's mailbox, if it may hold the event of the session."""
    mailbox = mailbox_key(copy.recipient.mailbox.address)
    return next(
        (
            box
            for box in boxes.mailboxes(db, session.id)
            if box.mailbox == mailbox
            and box.user_id == recipient
            and box.method == InviteMethod.REQUEST
            and not box.is_tentative
        ),
        None,
    )


def _is_update(db: Session, session: ScheduledSession, recipient: UUID, box: SessionMailbox | None) -> bool:
    """Whether this mailbox has the event already; before mailboxes were stored, whether the person has."""
    if box is not None:
        return box.invited_sequence < session.revision
    if any(one.user_id == recipient for one in boxes.mailboxes(db, session.id)):
        return False
    return store.is_invited(db, session.id, recipient, before=session.revision)


def compose_cancellation(
    db: Session, ctx: Context, sender: Sender, job: LeasedJob[SendCancellation]
) -> bytes | Skipped | Snooze:
    """Compose the cancellation for a person who was invited; snooze while that invitation is being sent."""
    session = store.session(db, job.args.session_id)
    if session is None:
        return compose_tentative_removal(db, ctx, sender, job)
    if job.args.mailbox_id is not None:
        return removal.compose_removal(db, ctx, sender, session, job)
    return _cancellation(db, ctx, sender, session, job)


def _cancellation(
    db: Session, ctx: Context, sender: Sender, session: ScheduledSession, job: LeasedJob[SendCancellation]
) -> bytes | Skipped | Snooze:
    recipient = job.args.recipient
    request_id = session.consultation_request_id
    if jobs.is_in_flight(
        db, JobType.SEND_INVITE, session.id, recipient
    ) or store.is_confirmation_request_in_flight(db, request_id, recipient):
        return Snooze("the invitation is being sent")
    takes_part = recipient in (session.requester_user_id, session.consultant_user_id)
    reason = rules.cancellation_skip_reason(
        session.status,
        takes_part,
        store.is_invited(db, session.id, recipient)
        or store.has_confirmation_request(db, request_id, session.id, recipient),
        store.has_later_cancellation(db, session.id, recipient, job.args.revision),
    )
    if reason is not None:
        return Skipped(reason)
    copy = removal.last_held_copy(db, ctx, sender, session, job)
    if copy is None:
        return Skipped("no mailbox holds it")
    event_id = job.args.reassignment_id
    if event_id is None:
        copy = replace(copy, answer=answer_of(db, session, recipient))
        apology = recipient == session.requester_user_id and store.is_cancelled_by_absence(db, session.id)
        return compose_session_mail(copy, sender, job, "CANCEL", "apology" if apology else "cancellation")
    return compose_session_mail(_as_known_to_former(db, copy, event_id), sender, job, "CANCEL", "taken_over")


def session_mail_lifetime(
    db: Session, args: SendInvite | SendCancellation
) -> tuple[datetime | None, datetime | None]:
    """Both should arrive before the session's start, and are of use until its end."""
    return session_times(db, args.session_id)


def record_sent(db: Session, ctx: Context, job: LeasedJob[JobArgs]) -> None:
    """Store that the mail server took an invitation, a cancellation, or a notice with an entry."""
    method = InviteMethod.REQUEST if _invites(job.args) else InviteMethod.CANCEL
    boxes.record_sent(db, job, method, ctx.now)


def record_failure(db: Session, job: LeasedJob[JobArgs]) -> None:
    """Forget a mailbox that certainly got nothing: no earlier try was sent, and the last one was refused."""
    if _invites(job.args) and job.send_attempts == 0:
        boxes.forget_refused(db, job)


def _invites(args: JobArgs) -> bool:
    """Whether the mail of a job adds an entry to a calendar, or changes it."""
    if isinstance(args, SendNotice):
        return args.notice == NoticeType.CONFIRMATION_REQUESTED
    return isinstance(args, SendInvite)


def _as_known_to_former(db: Session, copy: CalendarCopy, event_id: UUID) -> CalendarCopy:
    """The consultation at its time before it was reassigned: the former consultant sees no later change."""
    known = store.time_before(db, event_id)
    return copy if known is None else replace(copy, start=known[0], end=known[1])
