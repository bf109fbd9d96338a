"""The task that sends reminders."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.jobs.runner import run_due
from booking_tasks.mail.handler import EmailHandler
from booking_tasks.outbox.job_args import SendReminder
from booking_tasks.reminders.service import compose_reminder, reminder_lifetime


@app.task(name=TASK_PREFIX + "send_reminder")
def send_reminder() -> int:
    """Remind one side of each session whose reminder is due and still useful."""
    return run_due(SendReminder, EmailHandler(compose_reminder, reminder_lifetime))
