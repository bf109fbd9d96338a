"""An open confirmation request is in the consultant's present mailbox alone, whatever changes meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.catalogue.directory import upsert_user
from booking_tasks.context import Context
from booking_tasks.contracts import UpsertUser
from booking_tasks.enums import JobState
from booking_tasks.intake import service as intake
from booking_tasks.invites.notices import compose_notice
from booking_tasks.invites.service import (
    compose_cancellation,
    compose_invite,
    record_failure,
    record_sent,
)
from booking_tasks.invites.updating import update_invites
from booking_tasks.jobs.steps import Finished, Skipped, Snooze
from booking_tasks.mail.calendar_copy import Sender
from booking_tasks.mail.message import Mailbox
from booking_tasks.models import Job, ScheduledSession, SessionMailbox
from booking_tasks.outbox.job_args import NoticeType, SendInvite
from tests import builders
from tests.intake.confirmation_scenario import ConfirmationScenario
from tests.invites.calendar_client import CalendarClient, Received, received
from tests.sample_jobs import job_row, leased_row

SENDER = Sender(Mailbox("Consultations", "booking@example.org"), "booking.example.org")
OLD, NEW, THIRD = "weber@example.org", "weber@example.net", "weber@example.com"
COMPOSERS: dict[str, Callable[..., bytes | Skipped | Snooze]] = {
    "send_notice": compose_notice,
    "send_invite": compose_invite,
    "send_cancellation": compose_cancellation,
}


class Confirming(ConfirmationScenario):
    """A confirmation request whose mails each mailbox of its consultant reads as a reference client does."""

    def __init__(self, db: Session, ctx: Context) -> None:
        super().__init__(db, ctx)
        self.mails: list[Received] = []
        self.sender = SENDER
        for who in self.consultants:
            builders.user(db, user_id=who, name="Dr Weber", email=OLD)
        self.request = self.pending(requester_user_id=builders.user(db, name="Mira Lang").user_id)
        assert self.request.assigned_consultant_user_id is not None
        self.who: UUID = self.request.assigned_consultant_user_id

    def address_command(self, address: str, **values: Any) -> UpsertUser:
        known = {"name": "Dr Weber", "email": address, "time_zone": "UTC"}
        return UpsertUser(message_id=uuid4(), actor="iam", user_id=self.who, **known | values)

    def move_to(self, address: str, **values: Any) -> None:
        self.later(seconds=1)
        command = self.address_command(address, **values)
        assert upsert_user(self.db, self.ctx, command).result == "done"

    def update(self) -> None:
        while rows := self.waiting("update_invites"):
            for row in rows:
                assert update_invites(self.db, self.ctx, self.sender, leased_row(row)) == Finished()
                self.end(row, JobState.DONE)

    def waiting(self, *job_types: str) -> list[Job]:
        found = select(Job).where(Job.job_type.in_(job_types), Job.state == JobState.WAITING)
        theirs = found.where(
            (Job.args["recipient"].astext == str(self.who)) | (Job.job_type == "update_invites")
        )
        ordered = theirs.order_by(Job.due_at, Job.id).execution_options(populate_existing=True)
        return list(self.db.scalars(ordered))

    def end(self, row: Job, state: JobState, send_attempts: int = 0) -> None:
        row.state, row.send_attempts, row.finished_at = state, send_attempts, self.ctx.now
        row.lease_token = row.lease_until = None
        self.db.flush()

    def send(self, row: Job) -> None:
        """Leave a job as it is while the mail server has its mail."""
        row.state, row.lease_token, row.lease_until = JobState.SENDING, uuid4(), self.ctx.now
        self.db.flush()

    def begin(self, row: Job) -> EmailMessage | None:
        made = COMPOSERS[row.job_type](self.db, self.ctx, self.sender, leased_row(row))
        if isinstance(made, Skipped):
            self.end(row, JobState.SKIPPED)
        if not isinstance(made, bytes):
            return None
        parsed = BytesParser(policy=default).parsebytes(made)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def finish(self, row: Job) -> None:
        self.end(row, JobState.DONE, 1)
        record_sent(self.db, self.ctx, leased_row(row))

    def deliver(self) -> list[EmailMessage]:
        self.update()
        self.later(minutes=1)
        sent = []
        for row in self.waiting(*COMPOSERS):
            mail = self.begin(row)
            if mail is not None:
                self.finish(row)
                sent.append(mail)
        if self.sender.calendar_replies:
            self.mails += [received(mail) for mail in sent]
        return sent

    def link_made(self) -> None:
        session = self.session()
        session.meeting_platform_join_url = "https://meet.example.org/r/1"
        self.db.add(job_row(SendInvite(session.id, session.revision, self.who), due_at=self.ctx.now))
        self.db.flush()

    def session(self) -> ScheduledSession:
        return self.db.get_one(ScheduledSession, self.request.scheduled_session_id)

    def holders(self, mails: list[Received] | None = None) -> set[str]:
        clients: dict[str, CalendarClient] = {}
        for mail in self.mails if mails is None else mails:
            clients.setdefault(mail.to, CalendarClient()).apply(mail)
        return {to for to, client in clients.items() if client.events}


@pytest.fixture
def confirming(db: Session, ctx: Context) -> Confirming:
    scenario = Confirming(db, ctx)
    assert [mail["To"].addresses[0].addr_spec for mail in scenario.deliver()] == [OLD]
    return scenario


def _addressed(mails: list[EmailMessage]) -> list[tuple[str, str]]:
    return sorted((one.to, one.method) for one in map(received, mails))


def test_a_new_address_gets_the_request_and_the_old_one_loses_it(confirming: Confirming) -> None:
    confirming.move_to(NEW)

    assert _addressed(confirming.deliver()) == [(NEW, "REQUEST"), (OLD, "CANCEL")]
    assert {mail.sequence for mail in confirming.mails} == {0}
    assert len({mail.uid for mail in confirming.mails}) == 1
    assert confirming.holders() == {NEW}
    assert confirming.deliver() == []


def test_any_order_and_repetition_of_the_mails_ends_alike(confirming: Confirming) -> None:
    for address in (NEW, THIRD, OLD):
        confirming.move_to(address)
        confirming.deliver()

    assert len(confirming.mails) == 7
    for order in permutations(confirming.mails):
        assert confirming.holders([*order, *order]) == {OLD}


def test_one_client_with_all_mailboxes_keeps_the_entry(confirming: Confirming) -> None:
    for address in (NEW, THIRD):
        confirming.move_to(address)
        confirming.deliver()

    for order in permutations(confirming.mails):
        client = CalendarClient()
        for mail in order:
            client.apply(mail)
        assert [mail.to for mail in client.events] == [THIRD]


def test_an_address_that_goes_back_and_forth_is_followed_each_time(confirming: Confirming) -> None:
    for address in (NEW, OLD, NEW, OLD, NEW):
        confirming.move_to(address)
        assert len(confirming.deliver()) == 2
        assert confirming.holders() == {address}


@pytest.mark.parametrize("is_waiting", [True, False])
def test_an_address_that_changes_back_at_once_keeps_the_entry(
    confirming: Confirming, is_waiting: bool
) -> None:
    confirming.move_to(NEW)
    if is_waiting:
        confirming.update()
    confirming.move_to(OLD)
    confirming.deliver()

    assert confirming.holders() == {OLD}


def test_an_address_that_changes_back_while_the_cancellation_is_sent_keeps_the_entry(
    confirming: Confirming,
) -> None:
    confirming.move_to(NEW)
    confirming.update()
    [removal] = confirming.waiting("send_cancellation")
    cancelled = confirming.begin(removal)
    assert cancelled is not None
    confirming.send(removal)
    confirming.move_to(OLD)
    confirming.update()
    confirming.finish(removal)
    confirming.mails.append(received(cancelled))
    confirming.deliver()

    assert confirming.holders() == {OLD}


def test_an_address_that_changes_while_the_request_is_sent_loses_the_entry(db: Session, ctx: Context) -> None:
    scenario = Confirming(db, ctx)
    [row] = scenario.waiting("send_notice")
    mail = scenario.begin(row)
    assert mail is not None
    scenario.send(row)
    scenario.move_to(NEW)
    scenario.update()
    scenario.finish(row)
    scenario.mails.append(received(mail))
    scenario.deliver()

    assert scenario.holders() == {NEW}


def test_a_repeat_of_the_same_bytes_leaves_the_record_of_where_they_went(db: Session, ctx: Context) -> None:
    scenario = Confirming(db, ctx)
    [row] = scenario.waiting("send_notice")
    mail = scenario.begin(row)
    assert mail is not None
    row.payload = mail.as_bytes()
    scenario.move_to(NEW)
    assert scenario.begin(row) is not None
    [box] = db.scalars(select(SessionMailbox))
    assert box.mailbox == OLD

    scenario.update()
    scenario.finish(row)
    scenario.deliver()
    assert scenario.holders([*scenario.mails, received(mail)]) == {NEW}


def test_an_address_that_changes_before_the_request_went_out_gets_one_mail(db: Session, ctx: Context) -> None:
    scenario = Confirming(db, ctx)
    scenario.move_to(NEW)

    assert _addressed(scenario.deliver()) == [(NEW, "REQUEST")]


def test_a_corrected_address_gets_the_request_that_was_refused(db: Session, ctx: Context) -> None:
    scenario = Confirming(db, ctx)
    [row] = scenario.waiting("send_notice")
    assert scenario.begin(row) is not None
    record_failure(db, leased_row(row))
    scenario.end(row, JobState.DEAD)
    scenario.move_to(NEW)

    assert _addressed(scenario.deliver()) == [(NEW, "REQUEST")]


def test_a_new_name_or_zone_sends_nothing_again(confirming: Confirming) -> None:
    confirming.move_to(OLD, name="Dr Weber-Huber")
    confirming.move_to(OLD.upper())

    assert confirming.deliver() == []


def test_a_request_without_an_entry_goes_to_the_new_address_once(db: Session, ctx: Context) -> None:
    scenario = Confirming(db, ctx)
    scenario.sender = replace(SENDER, calendar_replies=False)
    assert len(scenario.deliver()) == 1
    scenario.move_to(NEW)
    assert [mail["To"].addresses[0].addr_spec for mail in scenario.deliver()] == [NEW]
    scenario.move_to(NEW, name="Dr Weber-Huber")
    assert scenario.deliver() == []


def _decline(confirming: Confirming) -> None:
    confirming.decline(confirming.request, confirming.who)


def _withdraw(confirming: Confirming) -> None:
    confirming.cancel(confirming.request)


def _expire(confirming: Confirming) -> None:
    confirming.later(days=1, seconds=1)
    assert intake.expire_unanswered(confirming.db, confirming.ctx, confirming.request.id)


@pytest.mark.parametrize("step", ["nothing", "changed", "ordered", "sent"])
@pytest.mark.parametrize("end", [_decline, _withdraw, _expire])
def test_an_ended_request_leaves_every_mailbox(
    confirming: Confirming, end: Callable[[Confirming], None], step: str
) -> None:
    if step != "nothing":
        confirming.move_to(NEW)
    if step == "ordered":
        confirming.update()
    if step == "sent":
        confirming.deliver()
    end(confirming)
    confirming.deliver()

    assert confirming.holders() == set()
    for order in permutations(confirming.mails):
        assert confirming.holders(list(order)) == set()
    if step in ("changed", "ordered"):
        assert NEW not in {mail.to for mail in confirming.mails}


@pytest.mark.parametrize("step", ["accepted", "changed", "ordered", "sent", "invited"])
def test_a_session_is_in_the_present_mailbox_alone_whenever_the_address_changed(
    confirming: Confirming, step: str
) -> None:
    if step in ("changed", "ordered", "sent"):
        confirming.move_to(NEW)
    if step == "ordered":
        confirming.update()
    if step == "sent":
        confirming.deliver()
    assert confirming.confirm(confirming.request, confirming.who).status == "scheduled"
    if step == "accepted":
        confirming.move_to(NEW)
    confirming.update()
    confirming.later(seconds=5)
    confirming.link_made()
    confirming.deliver()
    if step == "invited":
        confirming.move_to(NEW)
        confirming.deliver()

    assert confirming.holders() == {NEW}
    assert {mail.uid for mail in confirming.mails} == {f"{confirming.session().id}@booking.example.org"}


def test_the_first_invitation_after_a_confirmation_is_no_update(confirming: Confirming) -> None:
    confirming.confirm(confirming.request, confirming.who)
    confirming.link_made()
    [mail] = confirming.deliver()

    assert mail["Subject"].startswith("Consultation:")
    box = confirming.db.scalars(select(SessionMailbox)).one()
    assert (box.is_tentative, box.sequence, box.invited_sequence) == (False, 1, 1)


def test_what_is_stored_tells_the_request_from_the_session(confirming: Confirming) -> None:
    box = confirming.db.scalars(select(SessionMailbox)).one()

    assert (box.is_tentative, box.sequence, box.method) == (True, 0, "REQUEST")
    assert box.consultation_request_id == confirming.request.id
    assert box.sent_at is not None
    notices = [notice for notice, who in confirming.notices(confirming.request) if who == confirming.who]
    assert notices == [NoticeType.CONFIRMATION_REQUESTED]
