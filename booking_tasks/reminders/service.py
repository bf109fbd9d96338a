"""Whether a reminder is still useful and what it says, decided when it is about to be sent."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.mail.calendar_copy import CalendarCopy, Sender
from booking_tasks.mail.dates import duration_text, span_text
from booking_tasks.mail.message import compose, message_id
from booking_tasks.mail.render import one_line, render
from booking_tasks.mail.store import absence_step_state, calendar_copy, session_times
from booking_tasks.mail.waiting import hold_for_absence
from booking_tasks.models import ScheduledSession
from booking_tasks.outbox.job_args import SendReminder
from booking_tasks.reminders import rules, store


def compose_reminder(
    db: Session, ctx: Context, sender: Sender, job: LeasedJob[SendReminder]
) -> bytes | Skipped | Snooze:
    """Compose the reminder for one side, or return why it is useless.

    Of several that are due together (after an outage) only the one nearest to the start is sent.
    Raises AwaitedDataError while the directory cannot address the recipient.
    """
    session, recipient = store.session(db, job.args.session_id), job.args.recipient
    if session is None or recipient not in (session.requester_user_id, session.consultant_user_id):
        return Skipped("the recipient has no part in the session")
    start, is_superseded = session.scheduled_start_time, _is_superseded(db, session, job)
    reason = rules.reminder_skip_reason(session.status, start, ctx.now, is_superseded=is_superseded)
    if reason is not None:
        return Skipped(reason)
    wait = hold_for_absence(absence_step_state(db, session.id))
    if wait is not None:
        return wait
    if store.has_closer_reminder(db, job, ctx.now):
        return Skipped("a closer reminder is due as well")
    copy = calendar_copy(db, sender, session, recipient, ctx.policies)
    return _compose(copy, sender, job, ctx)


def _is_superseded(db: Session, session: ScheduledSession, job: LeasedJob[SendReminder]) -> bool:
    """Whether the session moved since, or a later revision has this reminder again.

    A revision that changes only the text repeats the reminders that lie ahead, and not those that are due and
    could not be sent yet.
    """
    if session.revision == job.args.revision:
        return False
    start, ahead = session.scheduled_start_time, job.args.seconds_before
    return not rules.belongs_to(start, job.due_at, ahead) or store.is_repeated(db, job)


def reminder_lifetime(db: Session, args: SendReminder) -> tuple[datetime | None, datetime | None]:
    """A reminder is useful until the session's start."""
    start, _ = session_times(db, args.session_id)
    return start, start


def _compose(copy: CalendarCopy, sender: Sender, job: LeasedJob[SendReminder], ctx: Context) -> bytes:
    reader = copy.recipient
    rendered = render(
        "reminder",
        reader.language,
        link=copy.join_url,
        reader=one_line(reader.mailbox.name),
        sender=sender.mailbox.name,
        service=one_line(copy.service),
        counterpart=one_line(copy.counterpart),
        when=span_text(copy.start, copy.end, reader.time_zone, reader.language),
        ahead=duration_text(copy.start - ctx.now, reader.language),
    )
    return compose(
        sender=sender.mailbox,
        recipient=reader.mailbox,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        calendar=None,
        method=None,
        message_id=message_id(job.key, sender.uid_domain),
        date=job.due_at,
    )
