"""The mail to people's calendars when a session is reassigned to another consultant, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from uuid import UUID, uuid4

import pytest
from icalendar import Calendar
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import CancelSession, RescheduleSession
from booking_tasks.invites.service import compose_cancellation, compose_invite
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.models import DirectoryUser, Job, ScheduledSession
from booking_tasks.ops.mail_sink import calendar_of
from booking_tasks.outbox.job_args import SendInvite
from booking_tasks.sessions import service as sessions
from tests.absence.test_reassign import START, colleague, reassign, session
from tests.builders import NOW
from tests.invites.test_service import SENDER, body, read
from tests.sample_jobs import job_row, leased_row

__all__ = ["session"]

WRITERS: dict[str, Callable[..., bytes | Skipped | Snooze]] = {
    "send_cancellation": compose_cancellation,
    "send_invite": compose_invite,
}


class MailCarrier:
    """Sends the due mail, one after the other, and keeps each person's calendar."""

    def __init__(self, db: Session, ctx: Context, session_id: UUID) -> None:
        self.db, self.ctx, self.session_id = db, ctx, session_id
        self.mails: list[tuple[UUID, EmailMessage]] = []
        self.skipped: list[tuple[str, int, str]] = []
        #: Whose calendar has the event, and at which SEQUENCE.
        self.calendars: dict[UUID, int] = {}

    def go(self, *job_types: str, to: UUID | None = None) -> None:
        """Send all waiting mail of these job types (or to one person), as the job runner would."""
        waiting = select(Job).where(Job.subject_id == self.session_id, Job.state == "waiting")
        for job in self.db.execute(waiting.order_by(Job.args["revision"].as_integer())).scalars().all():
            if job.job_type in (job_types or WRITERS) and to in (None, UUID(job.args["recipient"])):
                self._send(job)
        self.db.flush()

    def _send(self, job: Job) -> None:
        written = WRITERS[job.job_type](self.db, self.ctx, SENDER, leased_row(job))
        assert not isinstance(written, Snooze)
        recipient = UUID(job.args["recipient"])
        job.finished_at, job.state = NOW, "skipped" if isinstance(written, Skipped) else "done"
        if isinstance(written, Skipped):
            self.skipped.append((job.job_type, job.args["revision"], written.reason))
            return
        job.send_attempts = 1
        mail = read(written)
        self.mails.append((recipient, mail))
        content = calendar_of(mail)
        assert content is not None
        calendar = Calendar.from_ical(content)
        (event,) = calendar.events
        sequence = int(str(event["SEQUENCE"]))
        assert sequence > self.calendars.get(recipient, -1)
        if str(calendar["METHOD"]) == "CANCEL":
            assert self.calendars.pop(recipient) < sequence
        else:
            self.calendars[recipient] = sequence


@pytest.fixture
def invited(db: Session, ctx: Context, session: ScheduledSession) -> MailCarrier:
    """Both sides have the session in their calendars."""
    for who in (session.requester_user_id, session.consultant_user_id):
        db.add(job_row(SendInvite(session.id, 0, who)))
    db.flush()
    carrier = MailCarrier(db, ctx, session.id)
    carrier.go()
    carrier.mails.clear()
    return carrier


def test_each_hears_once_and_the_former_one_what_happened_and_nothing_of_the_new_one(
    db: Session, ctx: Context, session: ScheduledSession, invited: MailCarrier
) -> None:
    former, who = session.consultant_user_id, colleague(db)
    reassign(db, ctx, session, who, reason="a broken leg")
    invited.go()

    assert invited.calendars == {session.requester_user_id: 1, who: 1}
    mail_to = dict(invited.mails)
    assert len(invited.mails) == len(mail_to) == 3
    assert mail_to[former]["Subject"].startswith("Given to a colleague:")
    assert mail_to[who]["Subject"].startswith("Consultation:")
    assert mail_to[session.requester_user_id]["Subject"].startswith("Changed:")
    assert "With: Dr Stein" in body(mail_to[session.requester_user_id])
    assert "Stein" not in body(mail_to[former])
    assert all("leg" not in body(mail) for mail in mail_to.values())


@pytest.mark.parametrize("sent_between", [True, False])
def test_a_to_b_to_a_leaves_one_event_at_a_one_at_the_requester_and_none_at_b(
    db: Session, ctx: Context, session: ScheduledSession, invited: MailCarrier, sent_between: bool
) -> None:
    first, second = session.consultant_user_id, colleague(db)
    reassign(db, ctx, session, second)
    if sent_between:
        invited.go()
        assert invited.calendars == {session.requester_user_id: 1, second: 1}
    reassign(db, ctx, session, first)
    invited.go()

    assert invited.calendars == {session.requester_user_id: 2, first: 2}
    if not sent_between:  # whose it never was in their calendar hears nothing, and nobody hears twice
        assert [to for to, _ in invited.mails].count(second) == 0
        assert sorted(to for to, _ in invited.mails) == sorted([first, session.requester_user_id])


@pytest.mark.parametrize(
    "order", [("send_cancellation", "send_invite"), ("send_invite", "send_cancellation")]
)
def test_in_whatever_order_the_letters_go_the_calendars_end_right(
    db: Session, ctx: Context, session: ScheduledSession, invited: MailCarrier, order: tuple[str, str]
) -> None:
    first, second, third = session.consultant_user_id, colleague(db), colleague(db)
    for who in (second, first, third, second):
        reassign(db, ctx, session, who)
        invited.go(order[0])
    for job_type in order:
        invited.go(job_type)

    assert invited.calendars == {session.requester_user_id: 4, second: 4}


def test_who_has_left_and_come_back_before_hearing_of_it_and_left_again_hears_of_the_last_alone(
    db: Session, ctx: Context, session: ScheduledSession, invited: MailCarrier
) -> None:
    first, second = session.consultant_user_id, colleague(db)
    for who in (second, first, second):
        reassign(db, ctx, session, who)
    invited.go(to=first)

    assert invited.skipped[:2] == [
        ("send_cancellation", 1, "superseded by a later cancellation"),
        ("send_invite", 2, "the recipient has no part in the session"),
    ]
    [(_, mail)] = invited.mails
    assert mail["Subject"].startswith("Given to a colleague:")


def test_the_former_consultant_gets_the_time_they_knew_also_when_it_has_moved_since(
    db: Session, ctx: Context, session: ScheduledSession, invited: MailCarrier
) -> None:
    former, who = session.consultant_user_id, colleague(db)
    reassign(db, ctx, session, who)
    move = RescheduleSession(
        message_id=uuid4(), actor="mira", session_id=session.id, new_start=START + timedelta(hours=2)
    )
    assert sessions.reschedule(db, ctx, move).result == "done"
    invited.go()

    [mail] = [mail for to, mail in invited.mails if to == former]
    content = calendar_of(mail)
    assert content is not None
    assert Calendar.from_ical(content).events[0].DTSTART == START
    assert session.requester_user_id in invited.calendars
    assert former not in invited.calendars


def test_reassigned_and_then_cancelled_the_former_consultant_gets_the_first_and_the_new_one_nothing(
    db: Session, ctx: Context, session: ScheduledSession, invited: MailCarrier
) -> None:
    former, who = session.consultant_user_id, colleague(db)
    reassign(db, ctx, session, who)
    sessions.cancel(
        db,
        ctx,
        CancelSession(message_id=uuid4(), actor="m", session_id=session.id, cancelled_by="user", reason="x"),
    )
    invited.go()

    assert invited.calendars == {}
    subjects = {to: str(mail["Subject"]).partition(":")[0] for to, mail in invited.mails}
    assert subjects == {former: "Given to a colleague", session.requester_user_id: "Cancelled"}


def test_a_german_consultant_reads_german(
    db: Session, ctx: Context, session: ScheduledSession, invited: MailCarrier
) -> None:
    former = session.consultant_user_id
    db.get_one(DirectoryUser, former).language = "de"
    reassign(db, replace(ctx, now=NOW), session, colleague(db))
    invited.go(to=former)

    [(_, mail)] = invited.mails
    assert mail["Subject"].startswith("Übernommen:")
    assert "übernimmt jemand anderes" in body(mail)
