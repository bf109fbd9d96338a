"""What every job that sends mail has in common: the sender and the transport."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Generic

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Send, Skipped, Snooze
from booking_tasks.kit.settings import Settings, settings
from booking_tasks.mail.calendar_copy import Sender
from booking_tasks.mail.message import Mailbox
from booking_tasks.mail.transport import transport
from booking_tasks.outbox.job_args import ArgsT

#: A package's use case: the mail that the job needs as things stand now, or why there is none.
Compose = Callable[[Session, Context, Sender, LeasedJob[ArgsT]], bytes | Skipped | Snooze]
#: By when the mail should have arrived, and from when on it is useless; None where there is no such instant.
Lifetime = Callable[[Session, ArgsT], tuple[datetime | None, datetime | None]]


def sender_of(config: Settings) -> Sender:
    """The service as a sender, as the settings describe it."""
    mailbox = Mailbox(config.mail_name, config.mail_address)
    return Sender(mailbox, config.uid_domain, config.links, config.calendar_replies)


class EmailHandler(Generic[ArgsT]):
    """Runs one type of job that sends mail; the package's use case decides whether and what to write."""

    def __init__(self, compose: Compose[ArgsT], lifetime: Lifetime[ArgsT]) -> None:
        self._compose = compose
        self._lifetime = lifetime

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[ArgsT]) -> Send | Skipped | Snooze:
        composed = self._compose(db, ctx, sender_of(settings()), job)
        if not isinstance(composed, bytes):
            return composed
        needed_by, useful_until = self._lifetime(db, job.args)
        return Send(job.payload or composed, needed_by, useful_until)

    def perform(self, payload: bytes) -> None:
        transport(settings()).send(payload)

    def record(self, db: Session, ctx: Context, job: LeasedJob[ArgsT], result: object) -> None:
        """Nothing else to write: the finished job is the record of the mail."""

    def record_delay(self, db: Session, ctx: Context, job: LeasedJob[ArgsT], reason: str) -> None:
        """Nothing follows: the job shows why the mail is late."""

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[ArgsT], reason: str) -> None:
        """The dead job stays visible with its reason and can be replayed; the booking stands."""
