"""Whether and what to write into people's calendars: decided anew each time a job is run."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.invites import rules, store
from booking_tasks.invites.calendar import calendar
from booking_tasks.jobs import store as jobs
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.mail.calendar_copy import Copy, House
from booking_tasks.mail.dates import spoken_day, spoken_span
from booking_tasks.mail.message import Method, letter, message_id
from booking_tasks.mail.render import one_line, words
from booking_tasks.mail.store import copy_for, replanned
from booking_tasks.mail.waiting import held_back
from booking_tasks.models import ScheduledSession
from booking_tasks.outbox.job_args import JobArgs, JobType, SendCancellation, SendInvite
from booking_tasks.requests.confirmation_requests import confirmation_request


def write_invite(
    db: Session, ctx: Context, house: House, job: LeasedJob[SendInvite]
) -> bytes | Skipped | Snooze:
    """The invitation or update of the session's present revision, or why none is due.

    Raises EffectNotDoneError while the directory does not know one of the two sides.
    """
    session, recipient = store.session(db, job.args.session_id), job.args.recipient
    if session is None or recipient not in (session.requester_user_id, session.consultant_user_id):
        return Skipped("the recipient has no part in the session")
    reason = rules.why_not_invite(
        session.status, session.scheduled_end_time, session.revision, job.args.revision, ctx.now
    )
    if reason is not None:
        return Skipped(reason)
    wait = held_back(replanned(db, session.id))
    if wait is not None:
        return wait
    copy = replace(
        copy_for(db, house, session, recipient, ctx.policies),
        accepted=_accepted(db, session, recipient),
    )
    changed = store.still_invited(db, session.id, recipient, before=session.revision)
    return _written(copy, house, job, "REQUEST", "update" if changed else "invite")


def write_cancellation(
    db: Session, ctx: Context, house: House, job: LeasedJob[SendCancellation]
) -> bytes | Skipped | Snooze:
    """The end of the event for one who was invited; waits while that invitation is on its way."""
    session, recipient = store.session(db, job.args.session_id), job.args.recipient
    if session is None:
        return Skipped("there is no such session")
    request_id = session.consultation_request_id
    if jobs.is_in_flight(db, JobType.SEND_INVITE, session.id, recipient) or store.asking_in_flight(
        db, request_id, recipient
    ):
        return Snooze("the invitation is on its way")
    takes_part = recipient in (session.requester_user_id, session.consultant_user_id)
    reason = rules.why_not_cancel(
        session.status,
        takes_part,
        store.still_invited(db, session.id, recipient)
        or store.question_stands(db, request_id, session.id, recipient),
        store.later_cancellation(db, session.id, recipient, job.args.revision),
    )
    if reason is not None:
        return Skipped(reason)
    copy = copy_for(db, house, session, recipient, ctx.policies)
    event_id = job.args.reassignment_id
    if event_id is None:
        apology = recipient == session.requester_user_id and store.ended_by_absence(db, session.id)
        return _written(copy, house, job, "CANCEL", "apology" if apology else "cancellation")
    return _written(_as_known_to_former(db, copy, event_id), house, job, "CANCEL", "taken_over")


def _accepted(db: Session, session: ScheduledSession, recipient: UUID) -> bool:
    """Whether the consultant said yes to just this time, when they were asked."""
    asked = confirmation_request(db, session.id)
    return (
        asked is not None
        and recipient == session.consultant_user_id == asked.consultant_user_id
        and (asked.start, asked.end) == (session.scheduled_start_time, session.scheduled_end_time)
    )


def _as_known_to_former(db: Session, copy: Copy, event_id: UUID) -> Copy:
    """The consultation at the time at which it was last theirs; what became of it since is not theirs."""
    known = store.time_before(db, event_id)
    return copy if known is None else replace(copy, start=known[0], end=known[1])


def _written(copy: Copy, house: House, job: LeasedJob[JobArgs], method: Method, template: str) -> bytes:
    reader = copy.recipient
    said = words(
        template,
        reader.language,
        link=copy.join_url if method == "REQUEST" else None,
        reader=one_line(reader.mailbox.name),
        house=house.mailbox.name,
        service=one_line(copy.service),
        counterpart=one_line(copy.counterpart),
        day=spoken_day(copy.start, reader.time_zone, reader.language),
        when=spoken_span(copy.start, copy.end, reader.time_zone, reader.language),
        details=copy.details,
    )
    return letter(
        sender=house.mailbox,
        recipient=reader.mailbox,
        subject=said.subject,
        text=said.text,
        html=said.html,
        calendar=calendar(copy, house, method),
        method=method,
        message_id=message_id(job.key, house.uid_domain),
        date=copy.revised_at,
    )
