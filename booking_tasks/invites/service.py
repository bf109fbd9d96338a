"""Whether and what to write into people's calendars, decided each time a job runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.invites import rules, store
from booking_tasks.invites.calendar import calendar_part
from booking_tasks.jobs import store as jobs
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.mail.calendar_copy import CalendarCopy, Sender
from booking_tasks.mail.dates import day_text, span_text
from booking_tasks.mail.message import Method, compose, message_id
from booking_tasks.mail.render import one_line, render
from booking_tasks.mail.store import absence_step_state, calendar_copy, session_times
from booking_tasks.mail.waiting import hold_for_absence
from booking_tasks.models import ScheduledSession
from booking_tasks.outbox.job_args import JobArgs, JobType, SendCancellation, SendInvite
from booking_tasks.requests.confirmation_requests import confirmation_request


def compose_invite(
    db: Session, ctx: Context, sender: Sender, job: LeasedJob[SendInvite]
) -> bytes | Skipped | Snooze:
    """Compose the invitation or update of the session's current revision, or return why none is due.

    Raises AwaitedDataError while the directory cannot address the recipient.
    """
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
    copy = replace(
        calendar_copy(db, sender, session, recipient, ctx.policies),
        accepted=_has_accepted(db, session, recipient),
    )
    changed = store.is_invited(db, session.id, recipient, before=session.revision)
    return _compose(copy, sender, job, "REQUEST", "update" if changed else "invite")


def compose_cancellation(
    db: Session, ctx: Context, sender: Sender, job: LeasedJob[SendCancellation]
) -> bytes | Skipped | Snooze:
    """Compose the cancellation for a person who was invited; snooze while that invitation is being sent."""
    session, recipient = store.session(db, job.args.session_id), job.args.recipient
    if session is None:
        return Skipped("there is no such session")
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
    copy = calendar_copy(db, sender, session, recipient, ctx.policies)
    event_id = job.args.reassignment_id
    if event_id is None:
        apology = recipient == session.requester_user_id and store.is_cancelled_by_absence(db, session.id)
        return _compose(copy, sender, job, "CANCEL", "apology" if apology else "cancellation")
    return _compose(_as_known_to_former(db, copy, event_id), sender, job, "CANCEL", "taken_over")


def session_mail_lifetime(
    db: Session, args: SendInvite | SendCancellation
) -> tuple[datetime | None, datetime | None]:
    """Both should arrive before the session's start, and are of use until its end."""
    return session_times(db, args.session_id)


def _has_accepted(db: Session, session: ScheduledSession, recipient: UUID) -> bool:
    """Whether the consultant accepted exactly this time in a confirmation request."""
    confirmation = confirmation_request(db, session.id)
    return (
        confirmation is not None
        and recipient == session.consultant_user_id == confirmation.consultant_user_id
        and (confirmation.start, confirmation.end)
        == (session.scheduled_start_time, session.scheduled_end_time)
    )


def _as_known_to_former(db: Session, copy: CalendarCopy, event_id: UUID) -> CalendarCopy:
    """The consultation at its time before it was reassigned: the former consultant sees no later change."""
    known = store.time_before(db, event_id)
    return copy if known is None else replace(copy, start=known[0], end=known[1])


def _compose(
    copy: CalendarCopy, sender: Sender, job: LeasedJob[JobArgs], method: Method, template: str
) -> bytes:
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
