"""The jobs that write to people about requests and consultations."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.invites.notices import write_notice
from booking_tasks.invites.service import write_cancellation, write_invite
from booking_tasks.jobs.runner import run_due
from booking_tasks.mail.handler import EmailHandler
from booking_tasks.outbox.job_args import SendCancellation, SendInvite, SendNotice


@app.task(name=TASK_PREFIX + "send_invite")
def send_invite() -> int:
    """Invite or update one side of each session whose invitation is due."""
    return run_due(SendInvite, EmailHandler(write_invite))


@app.task(name=TASK_PREFIX + "send_cancellation")
def send_cancellation() -> int:
    """Take cancelled sessions out of the calendars of those who were invited."""
    return run_due(SendCancellation, EmailHandler(write_cancellation))


@app.task(name=TASK_PREFIX + "send_notice")
def send_notice() -> int:
    """Tell people what became of a request, or that it waits for them."""
    return run_due(SendNotice, EmailHandler(write_notice))
