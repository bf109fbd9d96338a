"""Reminders through the job ledger and a real mail server, on a stepped clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.models import DirectoryUser, ScheduledSession
from booking_tasks.outbox.job_args import SendReminder
from booking_tasks.reminders.tasks import send_reminder
from tests.builders import NOW
from tests.mail.ledger import change, committed_session, found, order
from tests.mail.servers import DROP, Sink, scripted_server, use_mail_server

START = NOW + timedelta(days=2)
DAY, HOUR = timedelta(hours=24), timedelta(hours=1)


@pytest.fixture(autouse=True)
def _stepped(own_database: str, valkey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    settings.cache_clear()
    at(NOW)


@pytest.fixture
def session(_stepped: None) -> ScheduledSession:
    made = committed_session(start=START, meeting_platform_join_url="https://meet.example.org/r/1")
    with transaction() as db:
        requester = db.get_one(DirectoryUser, made.requester_user_id)
        requester.time_zone, requester.language = "Europe/Vienna", "de"
        db.get_one(DirectoryUser, made.consultant_user_id).time_zone = "America/New_York"
    return made


def at(instant: datetime) -> None:
    with transaction() as db:
        clock.step(db, instant)


def remind(session: ScheduledSession, side: UUID, offset: timedelta, revision: int = 0) -> str:
    return order(SendReminder(session.id, revision, side, int(offset.total_seconds())), START - offset)


def body(sink: Sink, number: int = -1) -> str:
    part = sink.mails[number].message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def test_both_sides_are_reminded_at_each_offset_once(session: ScheduledSession, post: Sink) -> None:
    for offset in (DAY, HOUR):
        for side in (session.requester_user_id, session.consultant_user_id):
            remind(session, side, offset)

    sent = []
    for instant in (NOW, START - DAY, START - DAY, START - HOUR, START - HOUR, START):
        at(instant)
        send_reminder()
        sent.append(len(post.mails))

    assert sent == [0, 2, 2, 4, 4, 4]
    assert len({mail.message["Message-ID"] for mail in post.mails}) == 4
    assert len({tuple(mail.recipients) for mail in post.mails}) == 2


def test_a_reminder_has_duration_time_and_place_in_the_readers_language(
    session: ScheduledSession, post: Sink
) -> None:
    remind(session, session.requester_user_id, HOUR)
    at(START - HOUR)
    send_reminder()
    german = body(post)
    remind(session, session.consultant_user_id, DAY)
    at(START - timedelta(minutes=30))
    send_reminder()
    english = body(post)

    assert "Ihre Beratung beginnt in 1 Stunde." in german
    assert "Wann: Mittwoch, 3. März 2027, 10:00–11:00 Uhr, Europe/Vienna (CET)" in german
    assert "https://meet.example.org/r/1" in german
    assert "your consultation begins in 30 minutes." in english
    assert "When: Wednesday, 3 March 2027, 04:00–05:00, America/New_York (EST)" in english
    for mail in post.mails:
        assert {part.get_content_type() for part in mail.message.walk()} == {
            "multipart/alternative",
            "text/plain",
            "text/html",
        }


def test_without_a_link_the_reminder_says_that_it_follows(session: ScheduledSession, post: Sink) -> None:
    change(session, meeting_platform_join_url=None)
    remind(session, session.consultant_user_id, HOUR)
    at(START - HOUR)
    send_reminder()

    assert "The link to join follows." in body(post)


def test_after_a_cancellation_nobody_is_reminded(session: ScheduledSession, post: Sink) -> None:
    key = remind(session, session.requester_user_id, HOUR)
    change(session, status="cancelled_by_user", revision=1)
    at(START - HOUR)
    send_reminder()

    assert (found(key).state, found(key).last_error) == ("skipped", "the session is cancelled_by_user")
    assert post.mails == []


def test_after_a_move_only_the_reminders_of_the_new_time_go_out(
    session: ScheduledSession, post: Sink
) -> None:
    old = remind(session, session.requester_user_id, HOUR)
    change(
        session,
        revision=1,
        scheduled_start_time=START + timedelta(hours=3),
        scheduled_end_time=START + timedelta(hours=4),
    )
    args = SendReminder(session.id, 1, session.requester_user_id, 3600)
    new = order(args, START + timedelta(hours=2))
    at(START - HOUR)
    send_reminder()
    assert (found(old).state, found(old).last_error) == ("skipped", "superseded by a later revision")
    assert post.mails == []

    at(START + timedelta(hours=2))
    send_reminder()
    assert found(new).state == "done"
    assert "13:00–14:00 Uhr" in body(post)


def test_a_reminder_that_could_not_be_sent_yet_outlives_a_revision_of_the_text(
    session: ScheduledSession, post: Sink
) -> None:
    """It was due before its session was renamed, so the new revision has no such reminder again."""
    key = remind(session, session.requester_user_id, HOUR)
    at(START - timedelta(minutes=40))
    change(session, revision=1)
    send_reminder()
    assert (found(key).state, len(post.mails)) == ("done", 1)


@pytest.mark.parametrize("offset", [HOUR, timedelta(minutes=30)])
def test_a_reminder_that_a_later_revision_has_again_goes_out_once(
    session: ScheduledSession, post: Sink, offset: timedelta
) -> None:
    """Whether it is the same reminder, or one nearer to the start that is due as well."""
    old = remind(session, session.requester_user_id, HOUR)
    new = remind(session, session.requester_user_id, offset, revision=1)
    change(session, revision=1)
    at(START - timedelta(minutes=20))
    send_reminder()
    assert (found(old).state, found(new).state, len(post.mails)) == ("skipped", "done", 1)


def test_after_an_outage_the_useful_reminder_goes_and_the_others_are_skipped(
    session: ScheduledSession, post: Sink
) -> None:
    far, near = (remind(session, session.requester_user_id, offset) for offset in (DAY, HOUR))
    at(START - timedelta(minutes=20))
    send_reminder()

    assert (found(far).state, found(near).state) == ("skipped", "done")
    assert "in 20 Minuten" in body(post)
    assert len(post.mails) == 1


def test_after_the_start_a_reminder_comes_in_vain(session: ScheduledSession, post: Sink) -> None:
    key = remind(session, session.requester_user_id, HOUR)
    at(START)
    send_reminder()

    assert (found(key).state, found(key).last_error) == ("skipped", "the session has begun")
    assert post.mails == []


def test_a_reminder_whose_reply_was_lost_is_not_repeated(
    session: ScheduledSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = remind(session, session.requester_user_id, HOUR)
    at(START - HOUR)
    with scripted_server({"body": DROP}) as (script, port):
        use_mail_server(monkeypatch, port)
        assert [send_reminder(), send_reminder(), send_reminder()] == [1, 0, 0]

    assert found(key).state == "uncertain"
    assert len(script.bodies) == 1
    settings.cache_clear()


def test_a_mail_server_that_was_away_is_tried_again(
    session: ScheduledSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = remind(session, session.requester_user_id, HOUR)
    at(START - HOUR)
    with scripted_server({"greeting": "421 4.3.2 starting"}, {}) as (script, port):
        use_mail_server(monkeypatch, port)
        send_reminder()
        assert found(key).state == "waiting"
        send_reminder()

    assert found(key).state == "done"
    assert len(script.bodies) == 1
    settings.cache_clear()
