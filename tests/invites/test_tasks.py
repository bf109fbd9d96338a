"""Invitations, cancellations and notices through the job ledger and a real mail server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from icalendar import Calendar

from booking_tasks.invites.tasks import send_cancellation, send_invite, send_notice
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.models import DirectoryUser, ScheduledSession
from booking_tasks.outbox.job_args import NoticeType, SendCancellation, SendInvite, SendNotice
from tests import builders
from tests.mail.ledger import change, committed_session, found, order, set_state
from tests.mail.servers import DROP, Mailed, Script, Sink, scripted_server, use_mail_server

pytestmark = pytest.mark.usefixtures("own_database", "valkey")


@pytest.fixture
def session() -> ScheduledSession:
    return committed_session(meeting_platform_join_url="https://meet.example.org/r/1")


def sides(session: ScheduledSession) -> tuple[str, str]:
    with transaction() as db:
        requester, consultant = (
            db.get_one(DirectoryUser, side).email
            for side in (session.requester_user_id, session.consultant_user_id)
        )
    return requester, consultant


def event(mail: Mailed) -> tuple[str, str, int]:
    """Method, UID and SEQUENCE of the calendar part."""
    part = next(part for part in mail.message.walk() if part.get_content_type() == "text/calendar")
    parsed = Calendar.from_ical(bytes(part.get_payload(decode=True)))
    (only,) = parsed.walk("VEVENT")
    return str(parsed["METHOD"]), str(only["UID"]), int(str(only["SEQUENCE"]))


def test_each_side_gets_one_invitation_however_often_the_task_runs(
    session: ScheduledSession, post: Sink
) -> None:
    keys = [
        order(SendInvite(session.id, 0, side))
        for side in (session.requester_user_id, session.consultant_user_id)
    ]
    assert [send_invite(), send_invite(), send_invite()] == [2, 0, 0]

    assert sorted(mail.recipients for mail in post.mails) == sorted([one] for one in sides(session))
    assert len({mail.message["Message-ID"] for mail in post.mails}) == 2
    assert {found(key).state for key in keys} == {"done"}


def test_over_a_whole_life_the_event_keeps_its_identity_and_its_number_grows(
    session: ScheduledSession, post: Sink
) -> None:
    order(SendInvite(session.id, 0, session.requester_user_id))
    send_invite()
    change(session, revision=1)
    order(SendInvite(session.id, 1, session.requester_user_id))
    send_invite()
    change(session, revision=2, status="cancelled_by_user")
    order(SendCancellation(session.id, 2, session.requester_user_id))
    send_cancellation()

    uid = f"{session.id}@booking.example.org"
    assert [event(mail) for mail in post.mails] == [
        ("REQUEST", uid, 0),
        ("REQUEST", uid, 1),
        ("CANCEL", uid, 2),
    ]


def test_an_invitation_to_what_has_moved_or_ended_is_skipped(session: ScheduledSession, post: Sink) -> None:
    old = order(SendInvite(session.id, 0, session.requester_user_id))
    change(session, revision=1)
    send_invite()
    late = order(SendInvite(session.id, 1, session.requester_user_id))
    change(session, status="cancelled_by_user", revision=2)
    send_invite()

    assert (found(old).state, found(old).last_error) == ("skipped", "superseded by a later revision")
    assert (found(late).state, found(late).last_error) == ("skipped", "the session is cancelled_by_user")
    assert post.mails == []


def test_a_person_the_directory_does_not_know_is_waited_for_until_the_session_ends(
    session: ScheduledSession, post: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKING_JOB_ATTEMPTS", "2")
    settings.cache_clear()
    with transaction() as db:
        db.delete(db.get_one(DirectoryUser, session.requester_user_id))
    key = order(SendInvite(session.id, 0, session.requester_user_id))

    for _ in range(4):
        send_invite()
        assert (found(key).state, found(key).put_off_reason) == ("waiting", "directory")
    assert f"directory has no user {session.requester_user_id}" in str(found(key).last_error)
    assert post.mails == []


# -- lost replies ------------------------------------------------------------------------------------------


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """A mail server that takes every message and hangs up without a word."""
    with scripted_server({"body": DROP}) as (script, port):
        use_mail_server(monkeypatch, port)
        yield script
    settings.cache_clear()


def test_an_invitation_whose_reply_was_lost_goes_out_once_more_byte_by_byte(
    session: ScheduledSession, deaf: Script
) -> None:
    key = order(SendInvite(session.id, 0, session.requester_user_id))

    send_invite()
    assert found(key).state == "waiting"
    with transaction() as db:
        db.get_one(DirectoryUser, session.requester_user_id).name = "Mira Newname"
    send_invite()
    assert [send_invite(), send_invite()] == [0, 0]

    assert found(key).state == "uncertain"
    assert len(deaf.bodies) == 2
    assert deaf.bodies[0] == deaf.bodies[1]
    assert found(key).payload is not None


def test_an_invitation_whose_reply_was_lost_is_not_repeated_once_it_is_outdated(
    session: ScheduledSession, deaf: Script
) -> None:
    key = order(SendInvite(session.id, 0, session.requester_user_id))

    send_invite()
    change(session, revision=1)
    send_invite()

    assert found(key).state == "skipped"
    assert len(deaf.bodies) == 1


def test_a_refused_address_ends_the_job_and_one_put_off_is_tried_again(
    session: ScheduledSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted_server({"RCPT": "450 4.2.0 grey"}, {}, {"RCPT": "550 5.1.1 no"}) as (script, port):
        use_mail_server(monkeypatch, port)
        patient = order(SendInvite(session.id, 0, session.requester_user_id))
        send_invite()
        assert (found(patient).state, found(patient).last_error) == (
            "waiting",
            "the mail server put off RCPT: 450 4.2.0",
        )
        send_invite()
        assert found(patient).state == "done"

        refused = order(SendInvite(session.id, 0, session.consultant_user_id))
        send_invite()
        assert (found(refused).state, found(refused).last_error) == (
            "dead",
            "the mail server refused RCPT: 550 5.1.1",
        )
    assert len(script.bodies) == 1
    settings.cache_clear()


# -- cancellations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["done", "uncertain"])
def test_a_cancellation_goes_once_to_whom_an_invitation_may_have_reached(
    session: ScheduledSession, post: Sink, state: str
) -> None:
    set_state(order(SendInvite(session.id, 0, session.requester_user_id)), state, send_attempts=1)
    change(session, status="cancelled_by_consultant", revision=1)
    order(SendCancellation(session.id, 1, session.requester_user_id))

    assert [send_cancellation(), send_cancellation(), send_cancellation()] == [1, 0, 0]
    assert [event(mail)[0] for mail in post.mails] == ["CANCEL"]


def test_a_cancellation_never_goes_to_someone_never_invited(session: ScheduledSession, post: Sink) -> None:
    invite = order(SendInvite(session.id, 0, session.requester_user_id))
    change(session, status="cancelled_by_user", revision=1)
    keys = [
        order(SendCancellation(session.id, 1, side))
        for side in (session.requester_user_id, session.consultant_user_id)
    ]
    send_invite()
    send_cancellation()

    assert found(invite).state == "skipped"
    assert {(found(key).state, found(key).last_error) for key in keys} == {("skipped", "never invited")}
    assert post.mails == []


def test_a_cancellation_waits_for_the_invitation_that_is_on_its_way(
    session: ScheduledSession, post: Sink
) -> None:
    invite = order(SendInvite(session.id, 0, session.requester_user_id))
    set_state(invite, "sending", send_attempts=1)
    change(session, status="cancelled_by_user", revision=1)
    key = order(SendCancellation(session.id, 1, session.requester_user_id))
    send_cancellation()

    assert (found(key).state, found(key).attempts) == ("waiting", 0)
    assert found(key).retry_at is not None
    assert post.mails == []


def test_a_notice_goes_out_once(post: Sink) -> None:
    with transaction() as db:
        service_type = builders.service_type(db)
        requester = builders.user(db)
        request = builders.request(
            db,
            service_type.id,
            requester_user_id=requester.user_id,
            status="rejected",
            status_reason="no time",
        )
    key = order(SendNotice(request.id, requester.user_id, NoticeType.REQUEST_REJECTED))

    assert [send_notice(), send_notice(), send_notice()] == [1, 0, 0]
    assert [mail.recipients for mail in post.mails] == [[requester.email]]
    assert found(key).state == "done"


def test_a_notice_with_a_lost_reply_is_left_to_a_person(deaf: Script) -> None:
    with transaction() as db:
        service_type = builders.service_type(db)
        requester = builders.user(db)
        request = builders.request(
            db, service_type.id, requester_user_id=requester.user_id, status="rejected"
        )
    key = order(SendNotice(request.id, requester.user_id, NoticeType.REQUEST_REJECTED))

    assert [send_notice(), send_notice()] == [1, 0]
    assert found(key).state == "uncertain"
    assert len(deaf.bodies) == 1
