"""What every job that sends a letter has in common: the settings it writes under, and the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Send, Skipped, Snooze
from booking_tasks.kit.settings import Settings, settings
from booking_tasks.mail.calendar_copy import House
from booking_tasks.mail.message import Mailbox
from booking_tasks.mail.transport import transport
from booking_tasks.outbox.job_args import ArgsT

#: A package's use case: the mail that the job needs as things stand now, or why there is none.
Compose = Callable[[Session, Context, House, LeasedJob[ArgsT]], bytes | Skipped | Snooze]


def house_of(config: Settings) -> House:
    """The service's mailbox, domain and ways to answer, as deployed."""
    mailbox = Mailbox(config.mail_name, config.mail_address)
    return House(mailbox, config.uid_domain, config.links, config.calendar_replies)


class EmailHandler(Generic[ArgsT]):
    """Runs one type of job that sends mail; the package's use case decides whether and what to write."""

    def __init__(self, compose: Compose[ArgsT]) -> None:
        self._compose = compose

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[ArgsT]) -> Send | Skipped | Snooze:
        composed = self._compose(db, ctx, house_of(settings()), job)
        return Send(job.payload or composed) if isinstance(composed, bytes) else composed

    def perform(self, payload: bytes) -> None:
        transport(settings()).send(payload)

    def record(self, db: Session, ctx: Context, job: LeasedJob[ArgsT], result: object) -> None:
        """Nothing else to write: the finished job is the record of the mail."""

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[ArgsT], reason: str) -> None:
        """The dead job stays visible with its reason and can be replayed; the booking stands."""
