"""What the letters say, and what they never say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from uuid import UUID, uuid4

import pytest
from icalendar import Calendar
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.invites.notices import compose_notice
from booking_tasks.invites.service import compose_cancellation, compose_invite
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.kit.errors import AwaitedDataError
from booking_tasks.kit.ids import uuid7
from booking_tasks.mail.calendar_copy import Sender
from booking_tasks.mail.message import Mailbox
from booking_tasks.models import AvailabilitySlot, ConsultationRequest, DirectoryUser, Job, ScheduledSession
from booking_tasks.outbox.job_args import JobArgs, NoticeType, SendCancellation, SendInvite, SendNotice
from tests import builders
from tests.builders import NOW
from tests.sample_jobs import job_row, leased_job

SENDER = Sender(Mailbox("Consultations", "booking@example.org"), "booking.example.org")
MARK = "MARK-OF-A-PRIVATE-FIELD"


def read(mail: bytes | Skipped | Snooze) -> EmailMessage:
    assert isinstance(mail, bytes), mail
    parsed = BytesParser(policy=default).parsebytes(mail)
    assert isinstance(parsed, EmailMessage)
    return parsed


def everything(mail: EmailMessage) -> str:
    """Headers and every part, decoded, calendar lines unfolded."""
    parts = [bytes(part.get_payload(decode=True)).decode() for part in mail.walk() if not part.is_multipart()]
    headers = [f"{name}: {value}" for name, value in mail.items()]
    return "\n".join([*headers, *parts]).replace("\r\n ", "")


def body(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def sent_before(db: Session, args: JobArgs, **values: object) -> Job:
    usual = {"key": str(uuid4()), "state": "done", "finished_at": NOW, "send_attempts": 1}
    row = job_row(args, **usual | values)
    db.add(row)
    db.flush()
    return row


def person(db: Session, user_id: UUID, **values: object) -> DirectoryUser:
    row = db.get_one(DirectoryUser, user_id)
    for name, value in values.items():
        setattr(row, name, value)
    db.flush()
    return row


@pytest.fixture
def session(db: Session) -> ScheduledSession:
    return builders.booked_session(db, meeting_platform_join_url="https://meet.example.org/r/1")


def test_each_side_reads_the_time_in_its_own_zone_and_language(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    person(db, session.requester_user_id, time_zone="Europe/Vienna", language="de")
    person(db, session.consultant_user_id, time_zone="America/New_York")

    german = read(
        compose_invite(db, ctx, SENDER, leased_job(SendInvite(session.id, 0, session.requester_user_id)))
    )
    english = read(
        compose_invite(db, ctx, SENDER, leased_job(SendInvite(session.id, 0, session.consultant_user_id)))
    )

    assert "Wann: Mittwoch, 3. März 2027, 10:00–11:00 Uhr, Europe/Vienna (CET)" in body(german)
    assert "When: Wednesday, 3 March 2027, 04:00–05:00, America/New_York (EST)" in body(english)
    assert all("https://meet.example.org/r/1" in body(mail) for mail in (german, english))
    assert "mit Dr Okafor" in german["Subject"]
    assert "with Mira Lang" in english["Subject"]


def test_nothing_of_the_other_side_enters_a_copy_but_the_name(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    requester = person(db, session.requester_user_id, email="mira@private.example.org")
    consultant = person(db, session.consultant_user_id, email="okafor@private.example.org")
    db.get_one(ConsultationRequest, session.consultation_request_id).request_details = MARK
    session.outcome_notes = session.status_reason = "NOTES-OF-THE-CONSULTANT"
    sent_before(db, SendInvite(session.id, -1, requester.user_id))
    db.flush()

    to_requester = everything(
        read(compose_invite(db, ctx, SENDER, leased_job(SendInvite(session.id, 0, requester.user_id))))
    )
    to_consultant = everything(
        read(compose_invite(db, ctx, SENDER, leased_job(SendInvite(session.id, 0, consultant.user_id))))
    )
    builders.take_steps(db, session, "cancelled_by_consultant")
    cancelled = everything(
        read(
            compose_cancellation(
                db, ctx, SENDER, leased_job(SendCancellation(session.id, 0, requester.user_id))
            )
        )
    )

    for copy in (to_requester, cancelled):
        assert "okafor@private.example.org" not in copy
        assert MARK not in copy
        assert "NOTES-OF-THE-CONSULTANT" not in copy
        assert str(session.consultant_user_id) not in copy
    assert "mira@private.example.org" not in to_consultant
    assert "NOTES-OF-THE-CONSULTANT" not in to_consultant
    assert MARK in to_consultant


def test_the_method_of_the_part_is_the_method_of_the_calendar_and_from_is_the_organizer(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    invite = read(
        compose_invite(db, ctx, SENDER, leased_job(SendInvite(session.id, 0, session.requester_user_id)))
    )
    part = next(part for part in invite.walk() if part.get_content_type() == "text/calendar")
    parsed = Calendar.from_ical(bytes(part.get_payload(decode=True)))

    assert part.get_param("method") == str(parsed["METHOD"]) == "REQUEST"
    assert str(parsed.walk("VEVENT")[0]["ORGANIZER"]) == "mailto:booking@example.org"
    assert invite["From"].addresses[0].addr_spec == "booking@example.org"
    assert invite["Date"].datetime == session.revised_at


def test_a_missing_link_is_announced_and_later_sent_as_a_change(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    link, session.meeting_platform_join_url = session.meeting_platform_join_url, None
    first = read(
        compose_invite(db, ctx, SENDER, leased_job(SendInvite(session.id, 0, session.requester_user_id)))
    )
    sent_before(db, SendInvite(session.id, 0, session.requester_user_id))
    session.meeting_platform_join_url, session.revision = link, 1
    second = read(
        compose_invite(db, ctx, SENDER, leased_job(SendInvite(session.id, 1, session.requester_user_id)))
    )

    assert "The link to join follows." in body(first)
    assert first["Subject"].startswith("Consultation:")
    assert "https://meet.example.org/r/1" in body(second)
    assert second["Subject"].startswith("Changed:")
    assert first["Message-ID"] != second["Message-ID"]


def test_the_same_job_writes_the_same_bytes(db: Session, ctx: Context, session: ScheduledSession) -> None:
    once = leased_job(SendInvite(session.id, 0, session.requester_user_id))
    later = replace(ctx, now=ctx.now + timedelta(hours=1))

    assert compose_invite(db, ctx, SENDER, once) == compose_invite(
        db, later, SENDER, replace(once, attempts=2)
    )


def test_somebody_unknown_or_the_service_itself_is_never_written_to(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    person(db, session.consultant_user_id, email="Booking+x@Example.org")
    with pytest.raises(AwaitedDataError, match="address of the service itself"):
        compose_invite(db, ctx, SENDER, leased_job(SendInvite(session.id, 0, session.consultant_user_id)))

    db.delete(db.get_one(DirectoryUser, session.requester_user_id))
    db.flush()
    with pytest.raises(AwaitedDataError, match=f"directory has no user {session.requester_user_id}"):
        compose_invite(db, ctx, SENDER, leased_job(SendInvite(session.id, 0, session.requester_user_id)))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (None, "(name to follow)"),
        ("\u202e", "(name to follow)"),
        ("Mira\u2028Lang\r\nBcc: x", "Mira Lang Bcc: x"),
        ("=?utf-8?q?Mira?=", "= ?utf-8?q?Mira?="),
    ],
)
def test_one_side_gets_its_mail_whatever_is_known_of_the_other(
    db: Session, ctx: Context, session: ScheduledSession, name: str | None, shown: str
) -> None:
    other = person(db, session.requester_user_id, name=name or "x", email="unusable")
    if name is None:
        db.delete(other)
        db.flush()
    job = leased_job(SendInvite(session.id, 0, session.consultant_user_id))

    mail = read(compose_invite(db, ctx, SENDER, job))

    assert f"with {shown}," in mail["Subject"]
    assert f"With: {shown}" in body(mail)


@pytest.mark.parametrize("name", ["\u202e\u2066", "Mira\nLang", "=?x"])
def test_a_person_with_a_bad_name_gets_mail_all_the_same(
    db: Session, ctx: Context, session: ScheduledSession, name: str
) -> None:
    person(db, session.requester_user_id, name=name)
    job = leased_job(SendInvite(session.id, 0, session.requester_user_id))

    mail = read(compose_invite(db, ctx, SENDER, job))

    assert mail["To"].addresses[0].addr_spec == db.get_one(DirectoryUser, session.requester_user_id).email


def test_who_has_no_part_in_the_session_gets_no_invitation(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    stranger = builders.user(db)

    assert isinstance(
        compose_invite(db, ctx, SENDER, leased_job(SendInvite(session.id, 0, stranger.user_id))), Skipped
    )
    assert isinstance(
        compose_invite(db, ctx, SENDER, leased_job(SendInvite(uuid7(), 0, stranger.user_id))), Skipped
    )


def test_a_cancellation_waits_while_the_invitation_is_on_its_way(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    builders.take_steps(db, session, "cancelled_by_user")
    sent_before(
        db,
        SendInvite(session.id, 0, session.requester_user_id),
        state="sending",
        finished_at=None,
        lease_token=uuid7(),
        lease_until=NOW,
    )

    assert isinstance(
        compose_cancellation(
            db, ctx, SENDER, leased_job(SendCancellation(session.id, 0, session.requester_user_id))
        ),
        Snooze,
    )


# -- notices -----------------------------------------------------------------------------------------------


@pytest.fixture
def request_(db: Session) -> ConsultationRequest:
    """A request that waits for its consultant's answer."""
    service_type = builders.service_type(db)
    consultant = builders.consultant(db)
    requester = builders.user(db, email="mira@private.example.org")
    builders.user(
        db, user_id=consultant.consultant_user_id, name="Dr Okafor", time_zone="Europe/Vienna", language="de"
    )
    new_request = builders.request(
        db,
        service_type.id,
        requester_user_id=requester.user_id,
        request_details=MARK,
        status="pending_confirmation",
        assigned_consultant_user_id=consultant.consultant_user_id,
    )
    start = NOW + timedelta(days=2)
    db.add(
        AvailabilitySlot(
            consultant_user_id=consultant.consultant_user_id,
            start_time=start,
            end_time=start + timedelta(hours=1),
            session_start_time=start,
            session_end_time=start + timedelta(hours=1),
            status="held",
            held_until=NOW + timedelta(hours=24),
            hold_token=uuid7(),
            consultation_request_id=new_request.id,
            requester_user_id=requester.user_id,
        )
    )
    db.flush()
    return new_request


def confirmation_request_of(request: ConsultationRequest) -> UUID:
    assert request.assigned_consultant_user_id is not None
    return request.assigned_consultant_user_id


def notice(
    request: ConsultationRequest, type_: NoticeType, to: UUID, event_id: UUID | None = None
) -> LeasedJob[SendNotice]:
    return leased_job(SendNotice(request.id, to, type_, event_id))


def test_a_confirmation_request_names_subject_time_and_deadline(
    db: Session, ctx: Context, request_: ConsultationRequest
) -> None:
    mail = read(
        compose_notice(
            db,
            ctx,
            SENDER,
            notice(request_, NoticeType.CONFIRMATION_REQUESTED, confirmation_request_of(request_), uuid7()),
        )
    )

    assert "Wann: Mittwoch, 3. März 2027, 10:00–11:00 Uhr, Europe/Vienna (CET)" in body(mail)
    assert "Bitte antworten bis: Dienstag, 2. März 2027, 10:00 Uhr, Europe/Vienna (CET)" in body(mail)
    assert MARK in body(mail)
    assert "mira@private.example.org" not in everything(mail)
    assert not [part for part in mail.walk() if "calendar" in part.get_content_type()]


def test_a_confirmation_request_that_is_resolved_is_not_sent(
    db: Session, ctx: Context, request_: ConsultationRequest
) -> None:
    requested = notice(
        request_, NoticeType.CONFIRMATION_REQUESTED, confirmation_request_of(request_), uuid7()
    )
    late = replace(ctx, now=NOW + timedelta(hours=24))

    assert compose_notice(db, late, SENDER, requested) == Skipped("the time to answer is over")
    request_.status = "scheduled"
    assert compose_notice(db, ctx, SENDER, requested) == Skipped("the request is scheduled")


def test_only_a_consultant_with_a_confirmation_request_gets_the_withdrawal(
    db: Session, ctx: Context, request_: ConsultationRequest
) -> None:
    consultant = confirmation_request_of(request_)
    withdrawn = notice(request_, NoticeType.CONFIRMATION_WITHDRAWN, consultant, uuid7())
    request_.status = "cancelled"
    sent_before(db, withdrawn.args)
    assert compose_notice(db, ctx, SENDER, withdrawn) == Skipped("never requested")

    question = sent_before(
        db, SendNotice(request_.id, consultant, NoticeType.CONFIRMATION_REQUESTED, uuid7())
    )
    mail = read(compose_notice(db, ctx, SENDER, withdrawn))
    assert "nicht mehr gebraucht" in body(mail)
    assert MARK not in everything(mail)

    question.state, question.finished_at = "sending", None
    question.lease_token, question.lease_until = uuid7(), NOW
    db.flush()
    assert isinstance(compose_notice(db, ctx, SENDER, withdrawn), Snooze)


def test_a_requester_hears_why_nothing_was_found(
    db: Session, ctx: Context, request_: ConsultationRequest
) -> None:
    rejected = notice(request_, NoticeType.REQUEST_REJECTED, request_.requester_user_id)
    assert compose_notice(db, ctx, SENDER, rejected) == Skipped("the request is pending_confirmation")

    request_.status, request_.status_reason = "rejected", "no_free_time"
    mail = read(compose_notice(db, ctx, SENDER, rejected))

    assert "Reason: no consultant had free time when you needed one" in body(mail)
    assert mail["To"].addresses[0].addr_spec == "mira@private.example.org"
