"""The mail about a session to one side, with the calendar part that changes their calendar. Pure."""

from __future__ import annotations

from booking_tasks.invites.calendar import calendar_part
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.mail.calendar_copy import CalendarCopy, Sender
from booking_tasks.mail.dates import day_text, span_text
from booking_tasks.mail.message import Method, compose, message_id
from booking_tasks.mail.render import one_line, render
from booking_tasks.outbox.job_args import JobArgs


def compose_session_mail(
    copy: CalendarCopy, sender: Sender, job: LeasedJob[JobArgs], method: Method, template: str
) -> bytes:
    """Compose the mail with the calendar part of one side's copy; a cancellation has no link."""
    reader = copy.recipient
    rendered = render(
        template,
        reader.language,
        link=copy.join_url if method == "REQUEST" else None,
        reader=one_line(reader.mailbox.name),
        sender=sender.mailbox.name,
        service=one_line(copy.service),
        counterpart=one_line(copy.counterpart),
        day=day_text(copy.start, reader.time_zone, reader.language),
        when=span_text(copy.start, copy.end, reader.time_zone, reader.language),
        details=copy.details,
    )
    return compose(
        sender=sender.mailbox,
        recipient=reader.mailbox,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        calendar=calendar_part(copy, sender, method),
        method=method,
        message_id=message_id(job.key, sender.uid_domain),
        date=copy.revised_at,
    )
