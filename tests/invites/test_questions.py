"""A question in its consultant's calendar: asked, answered, taken out; one entry over its whole life."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from icalendar import Calendar
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from booking_tasks.calendars.store import sessions_that_do_not_block
from booking_tasks.context import Context
from booking_tasks.contracts import CancelSession
from booking_tasks.intake import service as intake
from booking_tasks.invites.notices import compose_notice
from booking_tasks.invites.service import compose_cancellation, compose_invite
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.kit.signed_links import Links
from booking_tasks.mail.calendar_copy import Sender
from booking_tasks.mail.message import Mailbox
from booking_tasks.models import ConsultationRequest, Job, ScheduledSession
from booking_tasks.ops.mail_sink import calendar_of
from booking_tasks.outbox.job_args import NoticeType, SendInvite
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.intake.confirmation_scenario import TOMORROW, ConfirmationScenario
from tests.invites.test_service import body, read
from tests.sample_jobs import job_row, leased_row

SENDER = Sender(
    Mailbox("Consultations", "booking@example.org"),
    "booking.example.org",
    Links("https://booking.example.org", "s" * 40),
)
WRITERS: dict[str, Callable[..., bytes | Skipped | Snooze]] = {
    "send_notice": compose_notice,
    "send_invite": compose_invite,
    "send_cancellation": compose_cancellation,
}


class Asking(ConfirmationScenario):
    """An scenario whose letters are written when they are due, and read as their reader's calendar does."""

    def __init__(self, db: Session, ctx: Context) -> None:
        super().__init__(db, ctx)
        for who in self.consultants:
            builders.user(db, user_id=who, name="Dr Weber", email="weber@example.org")
        self.mira = builders.user(db, name="Mira Lang").user_id
        self.pending_request = self.pending(requester_user_id=self.mira, details="Eigenvalues")
        assert self.pending_request.assigned_consultant_user_id is not None
        self.who: UUID = self.pending_request.assigned_consultant_user_id

    def confirmation_request_id(self) -> UUID:
        job = self.db.execute(
            select(Job).where(
                Job.args["notice"].astext == NoticeType.CONFIRMATION_REQUESTED, self.to_consultant()
            )
        ).scalar_one()
        return UUID(job.args["event_id"])

    def to_consultant(self) -> ColumnElement[bool]:
        matches: ColumnElement[bool] = Job.args["recipient"].astext == str(self.who)
        return matches

    def post(self, sender: Sender = SENDER) -> list[EmailMessage]:
        """Write every letter to the consultant that is due, in order; count what went out as sent."""
        due = self.db.execute(
            select(Job)
            .where(Job.job_type.in_(WRITERS), self.to_consultant(), Job.state == "waiting")
            .order_by(Job.created_at, Job.id)
        ).scalars()
        return [mail for job in due.all() if (mail := self._posted(job, sender)) is not None]

    def _posted(self, job: Job, sender: Sender) -> EmailMessage | None:
        mail = WRITERS[job.job_type](self.db, self.ctx, sender, leased_row(job))
        sent = isinstance(mail, bytes)
        self.db.execute(
            update(Job)
            .where(Job.id == job.id)
            .values(
                state="done" if sent else "skipped",
                send_attempts=int(sent),
                finished_at=self.ctx.now,
                last_error=None if sent else mail.reason,  # type: ignore[union-attr]
            )
        )
        return read(mail) if sent else None

    def session(self) -> ScheduledSession:
        return self.db.get_one(ScheduledSession, self.pending_request.scheduled_session_id)

    def link_made(self) -> None:
        """The platform has made the room: invitations follow."""
        session = self.session()
        session.meeting_platform_join_url = "https://meet.example.org/r/1"
        for person in (session.consultant_user_id, session.requester_user_id):
            self.db.add(job_row(SendInvite(session.id, session.revision, person), due_at=self.ctx.now))
        self.db.flush()

    def cancelled(self) -> None:
        """The consultant calls the agreed session off."""
        command = CancelSession(
            message_id=uuid4(),
            actor="x",
            session_id=self.session().id,
            cancelled_by="consultant",
            reason="ill",
        )
        assert sessions.cancel(self.db, self.ctx, command).result == "done"


@pytest.fixture
def asking(db: Session, ctx: Context) -> Asking:
    return Asking(db, ctx)


def event_in(mail: EmailMessage) -> Any:
    content = calendar_of(mail)
    assert content is not None
    calendar = Calendar.from_ical(content)
    (event,) = calendar.walk("VEVENT")
    return event


def method_of(mail: EmailMessage) -> str | None:
    content = calendar_of(mail)
    return None if content is None else str(Calendar.from_ical(content)["METHOD"])


def reader_calendar(mails: Iterable[EmailMessage]) -> dict[str, str]:
    """What a calendar program makes of mails in some order: UID -> status, by RFC 5546 section 2.1.5."""
    known: dict[str, tuple[tuple[int, datetime], str]] = {}
    for mail in mails:
        if calendar_of(mail) is None:
            continue
        event = event_in(mail)
        version = (int(event["SEQUENCE"]), event["DTSTAMP"].dt)
        uid = str(event["UID"])
        if uid not in known or version >= known[uid][0]:
            known[uid] = (version, "gone" if method_of(mail) == "CANCEL" else str(event["STATUS"]))
    return {uid: status for uid, (_, status) in known.items()}


def test_the_question_is_an_invitation_that_its_consultant_can_answer(asking: Asking) -> None:
    [mail] = asking.post()
    event = event_in(mail)

    assert method_of(mail) == "REQUEST"
    assert str(event["UID"]) == f"{asking.confirmation_request_id()}@booking.example.org"
    assert (int(event["SEQUENCE"]), str(event["STATUS"])) == (0, "TENTATIVE")
    assert (event["DTSTART"].dt, event["DTEND"].dt) == (TOMORROW, TOMORROW + timedelta(hours=1))
    assert str(event["ORGANIZER"]) == "mailto:booking@example.org"
    assert str(event["ATTENDEE"]) == "mailto:weber@example.org"
    assert {name: event["ATTENDEE"].params[name] for name in ("PARTSTAT", "RSVP")} == {
        "PARTSTAT": "NEEDS-ACTION",
        "RSVP": "TRUE",
    }
    assert str(event["SUMMARY"]).startswith("Please answer: Algebra")
    assert "please until:\nTuesday, 2 March 2027, 09:00, UTC" in str(event["DESCRIPTION"])
    assert "Eigenvalues" in str(event["DESCRIPTION"])
    assert "LOCATION" not in event


def test_the_link_stands_in_the_mail_and_never_in_a_calendar_that_others_may_see(asking: Asking) -> None:
    [mail] = asking.post()
    content = calendar_of(mail)
    assert content is not None

    text = body(mail).replace("\r\n", "\n")
    assert "Accept or decline here:\nhttps://booking.example.org/answers/" in text
    assert "Or accept or decline the event in your calendar." in body(mail)
    assert b"/answers/" not in content.replace(b"\r\n ", b"")


def test_the_same_question_is_the_same_bytes_and_says_nothing_of_ways_that_are_closed(
    db: Session, ctx: Context
) -> None:
    asking = Asking(db, ctx)
    again = [one.as_bytes() for one in asking.post()]
    db.execute(update(Job).where(asking.to_consultant()).values(state="waiting", finished_at=None))
    assert [one.as_bytes() for one in asking.post()] == again

    db.execute(update(Job).where(asking.to_consultant()).values(state="waiting", finished_at=None))
    [plain] = asking.post(replace(SENDER, links=None, calendar_replies=False))
    assert calendar_of(plain) is None
    assert "calendar" not in body(plain)
    assert "in the system in which you work with consultations" in body(plain)
    assert "https://" not in body(plain)


def test_an_accepted_question_becomes_the_session_in_the_same_entry(asking: Asking) -> None:
    mails = asking.post()
    asking.confirm(asking.pending_request, asking.who)
    asking.link_made()
    invited = asking.post()

    session = asking.session()
    assert (session.id, session.revision) == (asking.confirmation_request_id(), 1)
    [mail] = invited
    event = event_in(mail)
    assert (int(event["SEQUENCE"]), str(event["STATUS"])) == (1, "CONFIRMED")
    assert event["DTSTAMP"].dt > event_in(mails[0])["DTSTAMP"].dt
    assert event["ATTENDEE"].params["PARTSTAT"] == "ACCEPTED"
    assert "RSVP" not in event["ATTENDEE"].params
    assert mail["Subject"].startswith("Consultation:")
    for order in permutations(mails + invited):
        assert reader_calendar(order) == {f"{session.id}@booking.example.org": "CONFIRMED"}


def test_confirmation_is_requested_again_for_a_moved_session(asking: Asking) -> None:
    asking.post()
    asking.confirm(asking.pending_request, asking.who)
    session = asking.session()
    builders.change_session(
        asking.db,
        session,
        scheduled_start_time=session.scheduled_start_time + timedelta(hours=1),
        scheduled_end_time=session.scheduled_end_time + timedelta(hours=1),
    )
    sessions.revise(session, asking.ctx)
    asking.link_made()
    [mail] = asking.post()

    assert event_in(mail)["ATTENDEE"].params["PARTSTAT"] == "NEEDS-ACTION"


def test_the_requesters_copy_says_nothing_of_an_answer(asking: Asking) -> None:
    asking.confirm(asking.pending_request, asking.who)
    asking.link_made()
    asking.who = asking.mira
    [mail] = asking.post()

    assert event_in(mail)["ATTENDEE"].params["PARTSTAT"] == "NEEDS-ACTION"


def _left_alone(asking: Asking) -> None:
    asking.later(days=1, seconds=1)
    assert intake.expire_unanswered(asking.db, asking.ctx, asking.pending_request.id)


ENDS: dict[str, Callable[[Asking], object]] = {
    "declined": lambda asking: asking.decline(asking.pending_request, asking.who),
    "withdrawn": lambda asking: asking.cancel(asking.pending_request),
    "unanswered": _left_alone,
}


@pytest.mark.parametrize("end", ENDS)
def test_a_question_that_is_over_is_taken_out_of_the_calendar_once(asking: Asking, end: str) -> None:
    mails = asking.post()
    ENDS[end](asking)
    taken_out = asking.post()

    [mail] = taken_out
    event = event_in(mail)
    assert method_of(mail) == "CANCEL"
    assert (int(event["SEQUENCE"]), str(event["STATUS"])) == (1, "CANCELLED")
    assert "VALARM" not in event
    assert "/answers/" not in body(mail)
    for order in permutations(mails + taken_out):
        assert set(reader_calendar(order).values()) == {"gone"}
    assert asking.post() == []


@pytest.mark.parametrize("end", ENDS)
def test_a_consultant_without_a_confirmation_request_gets_no_withdrawal(asking: Asking, end: str) -> None:
    ENDS[end](asking)

    assert asking.post() == []


def test_whoever_declined_in_their_calendar_gets_no_mail_about_it(asking: Asking) -> None:
    asking.post()
    by_mail = asking.ctx
    asking.ctx = replace(by_mail, entry_point="replies")
    asking.decline(asking.pending_request, asking.who)
    asking.ctx = by_mail

    assert asking.post() == []


def test_a_session_called_off_before_its_invitation_takes_the_question_out(asking: Asking) -> None:
    mails = asking.post()
    asking.confirm(asking.pending_request, asking.who)
    asking.cancelled()
    taken_out = asking.post()

    for order in permutations(mails + taken_out):
        assert set(reader_calendar(order).values()) == {"gone"}


def test_a_question_never_blocks_the_time_it_asks_for(asking: Asking) -> None:
    ids = {asking.confirmation_request_id(), uuid4()}

    assert sessions_that_do_not_block(asking.db, ids, asking.who) == {asking.confirmation_request_id()}
    assert sessions_that_do_not_block(asking.db, ids, uuid4()) == set()


def test_a_confirmation_request_of_an_older_release_is_a_session_of_its_own(
    db: Session, ctx: Context
) -> None:
    from booking_tasks.models import Event

    asking = Asking(db, ctx)
    mails = db.get_one(Event, asking.confirmation_request_id())
    text = {name: value for name, value in mails.after.items() if name not in {"end", "until"}}
    columns = {column.key: getattr(mails, column.key) for column in Event.__table__.columns}
    db.delete(mails)  # no role of the service's rewrites what was told
    db.flush()
    db.add(
        Event(**{name: columns[name] for name in columns if name not in {"after", "position"}}, after=text)
    )
    db.flush()
    [mail] = asking.post()

    assert calendar_of(mail) is None
    assert asking.confirm(asking.pending_request, asking.who).status == "scheduled"
    assert db.get_one(ConsultationRequest, asking.pending_request.id).scheduled_session_id is not None
