"""A session whose mails reach two mailboxes, each read by a reference client."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.catalogue.directory import upsert_user
from booking_tasks.catalogue.service import upsert_service_type
from booking_tasks.context import Context
from booking_tasks.contracts import UpsertServiceType, UpsertUser
from booking_tasks.enums import JobState
from booking_tasks.invites.service import (
    compose_cancellation,
    compose_invite,
    record_failure,
    record_sent,
)
from booking_tasks.invites.updating import update_invites
from booking_tasks.jobs.steps import Finished, Skipped
from booking_tasks.kit.errors import AwaitedDataError
from booking_tasks.mail.calendar_copy import Sender
from booking_tasks.mail.message import Mailbox
from booking_tasks.models import DirectoryUser, Job, ScheduledSession, ServiceType
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import SendInvite
from tests.builders import NOW
from tests.invites.calendar_client import CalendarClient, Received, received
from tests.sample_jobs import job_row, leased_row

CONSULTANT = "okafor@example.org"
SENDER = Sender(Mailbox("Consultations", "booking@example.org"), "booking.example.org")
OLD, NEW = "mira@example.org", "mira@example.net"
LINK = "https://meet.example.org/r/1"


@dataclass
class World:
    """A session whose invitations are out; `deliver` runs what waits, as the workers do."""

    db: Session
    ctx: Context
    session: ScheduledSession
    mails: list[Received] = field(default_factory=list)

    def later(self, **by: float) -> None:
        self.ctx = replace(self.ctx, now=self.ctx.now + timedelta(**by))

    def person(self, user_id: UUID, **values: Any) -> None:
        row = self.db.get(DirectoryUser, user_id, populate_existing=True)
        known = {"name": row.name, "email": row.email} if row else {"name": "Mira Lang", "email": OLD}
        command = UpsertUser(
            message_id=uuid4(), actor="iam", user_id=user_id, **{"time_zone": "UTC"} | known | values
        )
        self.later(seconds=1)
        assert upsert_user(self.db, self.ctx, command).result == "done"

    def move_to(self, address: str) -> None:
        self.person(self.session.requester_user_id, email=address)

    def rename_service(self, name: str) -> None:
        row = self.db.get_one(ServiceType, self.session.consultation_service_type_id)
        self.later(seconds=1)
        upsert_service_type(
            self.db,
            self.ctx,
            UpsertServiceType(
                message_id=uuid4(),
                actor="iam",
                service_type_id=row.id,
                name=name,
                default_duration_minutes=row.default_duration_minutes,
            ),
        )

    def waiting(self, *job_types: str) -> list[Job]:
        found = select(Job).where(Job.job_type.in_(job_types), Job.state == JobState.WAITING)
        return list(self.db.scalars(found.order_by(Job.id).execution_options(populate_existing=True)))

    def update(self) -> None:
        for row in self.waiting("update_invites"):
            assert update_invites(self.db, self.ctx, SENDER, leased_row(row)) == Finished()
            self.end(row, JobState.DONE)

    def end(self, row: Job, state: JobState, send_attempts: int = 0) -> None:
        row.state, row.send_attempts, row.finished_at = state, send_attempts, NOW
        self.db.flush()

    def begin(self, row: Job) -> Received | None:
        """Compose the mail of a job; None when it is not due, or waits for the directory."""
        compose: Any = compose_invite if row.job_type == "send_invite" else compose_cancellation
        try:
            made = compose(self.db, self.ctx, SENDER, leased_row(row))
        except AwaitedDataError:
            return None
        if isinstance(made, Skipped):
            self.end(row, JobState.SKIPPED)
            return None
        assert isinstance(made, bytes), made
        parsed = BytesParser(policy=default).parsebytes(made)
        assert isinstance(parsed, EmailMessage)
        return received(parsed)

    def deliver(self) -> list[Received]:
        self.update()
        sent = []
        for row in self.waiting("send_invite", "send_cancellation"):
            mail = self.begin(row)
            if mail is not None:
                self.end(row, JobState.DONE, 1)
                record_sent(self.db, self.ctx, leased_row(row))
                sent.append(mail)
        self.mails += sent
        return sent

    def refuse(self, row: Job) -> None:
        """The mail server refuses the mail for good."""
        assert self.begin(row) is not None
        record_failure(self.db, leased_row(row))
        self.end(row, JobState.DEAD)

    def holders(self, mails: list[Received] | None = None) -> set[str]:
        """The mailboxes that end with the event."""
        clients: dict[str, CalendarClient] = {}
        for mail in self.mails if mails is None else mails:
            clients.setdefault(mail.to, CalendarClient()).apply(mail)
        return {to for to, client in clients.items() if client.events}

    def answer(self, party: str, answer: str) -> None:
        after = {"party": party, "answer": answer, "revision": self.session.revision}
        outbox.record_event(
            self.db, self.ctx, EventType.SESSION_REPLY_RECORDED, session=self.session, after=after
        )

    def revision(self) -> int:
        self.db.refresh(self.session)
        return self.session.revision


def invited(world: World) -> World:
    for who in (world.session.requester_user_id, world.session.consultant_user_id):
        world.db.add(job_row(SendInvite(world.session.id, 0, who), key=str(uuid4())))
    world.db.flush()
    assert len(world.deliver()) == 2
    return world
