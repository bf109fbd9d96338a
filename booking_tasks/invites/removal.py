"""Removing a session from mailboxes: from one that is not used any more, or from the last that holds it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context, Policies
from booking_tasks.enums import InviteMethod, SessionStatus
from booking_tasks.invites import mailbox_store as store
from booking_tasks.invites.session_mail import compose_session_mail
from booking_tasks.jobs import store as jobs
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.kit.addresses import mailbox_key
from booking_tasks.kit.errors import AwaitedDataError
from booking_tasks.mail.calendar_copy import CalendarCopy, MailRecipient, Sender
from booking_tasks.mail.dates import language_of, zone_of
from booking_tasks.mail.message import Mailbox
from booking_tasks.mail.store import calendar_copy, copy_for, mail_recipient
from booking_tasks.models import ScheduledSession, SessionMailbox
from booking_tasks.outbox.job_args import JobType, SendCancellation
from booking_tasks.states import OPEN

#: Sessions that ended by themselves stay in whatever calendar they are.
_STILL_TO_REMOVE = (
    SessionStatus.SCHEDULED,
    SessionStatus.CANCELLED_BY_USER,
    SessionStatus.CANCELLED_BY_CONSULTANT,
)
#: A client that has both mailboxes keeps the event: the invitation to the new one is later (DTSTAMP).
_BEFORE_INVITATION = timedelta(seconds=1)


def compose_removal(
    db: Session, ctx: Context, sender: Sender, session: ScheduledSession, job: LeasedJob[SendCancellation]
) -> bytes | Skipped | Snooze:
    """Compose the cancellation to a mailbox that its owner does not use any more."""
    if session.status not in _STILL_TO_REMOVE or session.scheduled_end_time <= ctx.now:
        return Skipped(f"the session is {session.status}")
    box = next((one for one in store.mailboxes(db, session.id) if one.id == job.args.mailbox_id), None)
    if box is None or box.method != InviteMethod.REQUEST:
        return Skipped("the mailbox does not hold it")
    is_open = session.status == SessionStatus.SCHEDULED
    if _is_used(db, session, box.mailbox):
        return Skipped("one of the sides has this mailbox")
    if jobs.is_in_flight(db, JobType.SEND_INVITE, session.id, box.user_id):
        return Snooze("an invitation is being sent")
    store.take_for_cancellation(db, job, box.id)
    copy = _copy_at(db, ctx, sender, session, box)
    if is_open:
        copy = replace(copy, revised_at=copy.revised_at - _BEFORE_INVITATION)
    return compose_session_mail(copy, sender, job, "CANCEL", "other_mailbox" if is_open else "cancellation")


def last_held_copy(
    db: Session, ctx: Context, sender: Sender, session: ScheduledSession, job: LeasedJob[SendCancellation]
) -> CalendarCopy | None:
    """The session as the recipient of a cancellation sees it, at the mailbox that was invited last.

    None when no mailbox of theirs holds it. Without any stored mailbox it goes to their present address.
    """
    recipient: UUID = job.args.recipient
    known = store.mailboxes(db, session.id)
    held = [box for box in known if box.user_id == recipient and box.method == InviteMethod.REQUEST]
    if held:
        if _is_used(db, session, held[0].mailbox):
            return None
        store.take_for_cancellation(db, job, held[0].id)
        return _copy_at(db, ctx, sender, session, held[0])
    if any(box.user_id == recipient for box in known):
        return None
    copy = calendar_copy(db, sender, session, recipient, ctx.policies)
    mailbox = mailbox_key(copy.recipient.mailbox.address)
    is_of_another = any(box.mailbox == mailbox for box in known)
    return None if is_of_another or _is_used(db, session, mailbox) else copy


def _is_used(db: Session, session: ScheduledSession, mailbox: str) -> bool:
    """Whether one of the sides of an open session has this mailbox, whoever was invited there."""
    sides = (session.requester_user_id, session.consultant_user_id)
    return session.status in OPEN and mailbox in store.addresses_of(db, sides)


def _copy_at(
    db: Session, ctx: Context, sender: Sender, session: ScheduledSession, box: SessionMailbox
) -> CalendarCopy:
    return copy_for(db, session, box.user_id, reader_at(db, sender, ctx.policies, box))


def reader_at(db: Session, sender: Sender, policies: Policies, box: SessionMailbox) -> MailRecipient:
    """The owner of a mailbox as its reader, also when the directory cannot address them any more."""
    try:
        reader = mail_recipient(db, sender, box.user_id, policies)
        name = reader.mailbox.name
    except AwaitedDataError:
        zone, language = zone_of("", policies.default_time_zone), language_of("", policies.default_language)
        reader, name = MailRecipient(Mailbox("", box.address), zone, language), ""
    return replace(reader, mailbox=Mailbox(name, box.address))
