"""The tasks that send mail about requests and consultations."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.celery import app
from booking_tasks.context import Context
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.invites.notices import compose_notice, notice_lifetime
from booking_tasks.invites.service import (
    compose_cancellation,
    compose_invite,
    record_failure,
    record_sent,
    session_mail_lifetime,
)
from booking_tasks.invites.updating import update_invites as update
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Finished, InternalHandler, Snooze, run_due
from booking_tasks.kit.settings import settings
from booking_tasks.mail.handler import EmailHandler, sender_of
from booking_tasks.outbox.job_args import ArgsT, SendCancellation, SendInvite, SendNotice, UpdateInvites


class EntryMailHandler(EmailHandler[ArgsT]):
    """Sends mail with calendar entries, and stores what each mailbox holds."""

    def record(self, db: Session, ctx: Context, job: LeasedJob[ArgsT], result: object) -> None:
        record_sent(db, ctx, job)

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[ArgsT], reason: str) -> None:
        record_failure(db, job)


class UpdateInvitesHandler(InternalHandler):
    """Updates invitations after a name or an address changed."""

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[UpdateInvites]) -> Finished | Snooze:
        return update(db, ctx, sender_of(settings()), job)


@app.task(name=TASK_PREFIX + "update_invites")
def update_invites() -> int:
    """Bring the invitations ahead up to date after a name or an address changed."""
    return run_due(UpdateInvites, UpdateInvitesHandler())


@app.task(name=TASK_PREFIX + "send_invite")
def send_invite() -> int:
    """Invite or update one side of each session whose invitation is due."""
    return run_due(SendInvite, EntryMailHandler(compose_invite, session_mail_lifetime))


@app.task(name=TASK_PREFIX + "send_cancellation")
def send_cancellation() -> int:
    """Remove cancelled sessions from the calendars of the people who were invited."""
    return run_due(SendCancellation, EntryMailHandler(compose_cancellation, session_mail_lifetime))


@app.task(name=TASK_PREFIX + "send_notice")
def send_notice() -> int:
    """Notify people of the result of a request, or that it waits for their answer."""
    return run_due(SendNotice, EntryMailHandler(compose_notice, notice_lifetime))
