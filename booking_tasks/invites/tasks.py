"""The tasks that send mail about requests and consultations."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.invites.notices import compose_notice, notice_lifetime
from booking_tasks.invites.service import compose_cancellation, compose_invite, session_mail_lifetime
from booking_tasks.jobs.runner import run_due
from booking_tasks.mail.handler import EmailHandler
from booking_tasks.outbox.job_args import SendCancellation, SendInvite, SendNotice


@app.task(name=TASK_PREFIX + "send_invite")
def send_invite() -> int:
    """Invite or update one side of each session whose invitation is due."""
    return run_due(SendInvite, EmailHandler(compose_invite, session_mail_lifetime))


@app.task(name=TASK_PREFIX + "send_cancellation")
def send_cancellation() -> int:
    """Remove cancelled sessions from the calendars of the people who were invited."""
    return run_due(SendCancellation, EmailHandler(compose_cancellation, session_mail_lifetime))


@app.task(name=TASK_PREFIX + "send_notice")
def send_notice() -> int:
    """Notify people of the result of a request, or that it waits for their answer."""
    return run_due(SendNotice, EmailHandler(compose_notice, notice_lifetime))
