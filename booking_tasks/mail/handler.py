"""What every job that sends a letter has in common: the settings it writes under, and the way out."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Send, Skipped, Snooze
from booking_tasks.kit.settings import Settings, settings
from booking_tasks.mail.calendar_copy import House
from booking_tasks.mail.message import Mailbox
from booking_tasks.mail.transport import transport

#: A room's use case: the letter that the job calls for as things stand now, or why there is none.
Write = Callable[[Session, Context, House, LeasedJob], bytes | Skipped | Snooze]


def house_of(config: Settings) -> House:
    """The service's mailbox, domain and ways to answer, as deployed."""
    mailbox = Mailbox(config.mail_name, config.mail_address)
    return House(mailbox, config.uid_domain, config.links, config.calendar_replies)


class LetterHandler:
    """Runs one kind of letter; the room's use case decides whether and what to write."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def prepare(self, db: Session, ctx: Context, job: LeasedJob) -> Send | Skipped | Snooze:
        letter = self._write(db, ctx, house_of(settings()), job)
        return Send(job.payload or letter) if isinstance(letter, bytes) else letter

    def perform(self, effect: bytes) -> None:
        transport(settings()).send(effect)

    def record(self, db: Session, ctx: Context, job: LeasedJob, result: object) -> None:
        """A letter's trace is its job: nothing else to write."""

    def give_up(self, db: Session, ctx: Context, job: LeasedJob, reason: str) -> None:
        """The dead job stays visible with its reason and can be replayed; the booking stands."""
