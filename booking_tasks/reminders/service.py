"""Whether a reminder still serves its reader, and what it says: decided when it is about to go out."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.mail.calendar_copy import Copy, House
from booking_tasks.mail.dates import spoken_duration, spoken_span
from booking_tasks.mail.message import letter, message_id
from booking_tasks.mail.render import one_line, words
from booking_tasks.mail.store import copy_for, replanned
from booking_tasks.mail.waiting import held_back
from booking_tasks.outbox.job_args import SendReminder
from booking_tasks.reminders import rules, store


def write_reminder(
    db: Session, ctx: Context, house: House, job: LeasedJob[SendReminder]
) -> bytes | Skipped | Snooze:
    """The reminder for one side, or why it would come in vain.

    Of several that are due together (after an outage) only the one nearest to the start goes out.
    Raises EffectNotDoneError while the directory does not know one of the two sides.
    """
    session, recipient = store.session(db, job.args.session_id), job.args.recipient
    if session is None or recipient not in (session.requester_user_id, session.consultant_user_id):
        return Skipped("the recipient has no part in the session")
    reason = rules.why_not_remind(
        session.status, session.scheduled_start_time, session.revision, job.args.revision, ctx.now
    )
    if reason is not None:
        return Skipped(reason)
    wait = held_back(replanned(db, session.id))
    if wait is not None:
        return wait
    if store.closer_reminder_due(db, job, ctx.now):
        return Skipped("a closer reminder is due as well")
    copy = copy_for(db, house, session, recipient, ctx.policies)
    return _written(copy, house, job, ctx)


def _written(copy: Copy, house: House, job: LeasedJob[SendReminder], ctx: Context) -> bytes:
    reader = copy.recipient
    said = words(
        "reminder",
        reader.language,
        link=copy.join_url,
        reader=one_line(reader.mailbox.name),
        house=house.mailbox.name,
        service=one_line(copy.service),
        counterpart=one_line(copy.counterpart),
        when=spoken_span(copy.start, copy.end, reader.time_zone, reader.language),
        ahead=spoken_duration(copy.start - ctx.now, reader.language),
    )
    return letter(
        sender=house.mailbox,
        recipient=reader.mailbox,
        subject=said.subject,
        text=said.text,
        html=said.html,
        calendar=None,
        method=None,
        message_id=message_id(job.key, house.uid_domain),
        date=job.due_at,
    )
