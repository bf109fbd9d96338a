"""Targets that are away for long: real SMTP, real HTTP, and a stepped clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from typer.testing import CliRunner

from booking_tasks.invites.tasks import send_invite
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.meetings.tasks import provision_meeting, report_missing_links
from booking_tasks.models import Event, Job, ScheduledSession
from booking_tasks.ops.cli import cli
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.servers import free_port, wait_until
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import SendInvite
from booking_tasks.outbox.jobs import NewJob
from booking_tasks.unit_of_work import unit_of_work
from tests.builders import NOW, booked_session
from tests.conftest import DIRECT_AND_POOLED
from tests.mail.servers import Sink, sink_server, use_mail_server

pytestmark = [DIRECT_AND_POOLED, pytest.mark.usefixtures("own_database", "valkey")]

MINUTE = timedelta(minutes=1)
START = NOW + 30 * MINUTE
PAST = datetime(2026, 1, 1, tzinfo=UTC)


def count(*conditions: object) -> int:
    with transaction() as db:
        return db.scalar(select(func.count()).select_from(Job).where(*conditions)) or 0  # type: ignore[arg-type]


# -- waiting mails and one restart ---------------------------------------------------------------------


def make_invitations(count: int) -> None:
    start = datetime.now(UTC) + timedelta(days=2)
    with transaction() as db:
        sessions = [booked_session(db, start) for _ in range(count // 2)]
        sides = [(one.id, who) for one in sessions for who in (one.requester_user_id, one.consultant_user_id)]
        outbox_store.insert_jobs(db, [NewJob(SendInvite(one, 0, who), PAST) for one, who in sides])


@pytest.mark.timeout(400)
@pytest.mark.parametrize("mails", [40, pytest.param(200, marks=pytest.mark.long)])
def test_mails_wait_for_their_server_and_go_out_once_it_is_back(
    monkeypatch: pytest.MonkeyPatch, mails: int
) -> None:
    use_mail_server(monkeypatch, port := free_port())
    monkeypatch.setenv("BOOKING_RETRY_BASE", "30m")
    monkeypatch.setenv("BOOKING_RETRY_CAP", "1h")
    settings.cache_clear()
    make_invitations(mails)
    wait_until(lambda: send_invite() == 0, "a try of each mail", 100)
    assert count(Job.put_off_reason == "unreachable", Job.retry_at.is_not(None)) == mails

    with sink_server(port=port) as (sink, _):
        with transaction() as db:
            first = select(Job.id).limit(1).scalar_subquery()
            db.execute(update(Job).where(Job.id == first).values(retry_at=None, attempts=0))
        assert send_invite() == 1
        assert len(sink.mails) == 1
        soon = func.clock_timestamp() + timedelta(seconds=60)
        assert count(Job.state == "waiting", Job.retry_at <= soon) == mails - 1
        with transaction() as db:
            rows = db.scalars(select(Job.retry_at).where(Job.state == "waiting").order_by(Job.retry_at))
            at = [one for one in rows if one is not None]
        gaps = [(later - sooner).total_seconds() for sooner, later in pairwise(at)]
        assert max(gaps) < 200 / mails  # spread over the minute

        ran = CliRunner().invoke(cli, ["jobs", "retry-now", "--target", "mail"], catch_exceptions=False)
        assert ran.exit_code == 0
        wait_until(lambda: send_invite() == 0, "every mail", 100)
        assert count(Job.state == "done") == mails
        assert len({(one.recipients[0], one.message["Message-ID"]) for one in sink.mails}) == mails
        assert len(sink.mails) == mails


# -- a platform that is away for an hour, across a start ------------------------------------------------


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    with sink_server() as (sink, port):
        use_mail_server(monkeypatch, port)
        yield sink
    settings.cache_clear()


@pytest.fixture
def platform(post: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMeetingPlatform]:
    """A platform on a stepped clock; nothing answers at its address while a test keeps it away."""
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    monkeypatch.setenv("BOOKING_JOB_ATTEMPTS", "3")
    monkeypatch.setenv("BOOKING_JOB_BATCH", "2")  # tries of one job in one run
    with FakeMeetingPlatform() as running:
        monkeypatch.setenv("BOOKING_MEETING_URL", running.url)
        settings.cache_clear()
        step(NOW)
        yield running


def step(to: datetime) -> None:
    with transaction() as db:
        clock.step(db, to)


def booked() -> UUID:
    with unit_of_work("test", "booking") as (db, ctx):
        session = booked_session(db, START)
        outbox.record_event(db, ctx, EventType.SESSION_SCHEDULED, session=session)
        return session.id


def tries() -> None:
    """What workers do at one instant of the clock: several tries, each a moment after the other."""
    for _ in range(2):
        provision_meeting()
        send_invite()
    report_missing_links()
    report_missing_links()


def events(type_: str) -> list[datetime]:
    with transaction() as db:
        return list(db.scalars(select(Event.occurred_at).where(Event.type == type_)))


def stored(session_id: UUID) -> ScheduledSession:
    with transaction() as db:
        return db.get_one(ScheduledSession, session_id)


def test_a_link_is_made_when_the_platform_is_back_even_after_the_start(
    platform: FakeMeetingPlatform, post: Sink
) -> None:
    session_id = booked()
    platform.control(fail_next=10_000, status=503)
    for minutes in range(0, 65, 5):
        step(NOW + minutes * MINUTE)
        if minutes == 35:
            with transaction() as db:
                db.execute(update(ScheduledSession).values(status="in_progress"))
        tries()
    assert count(Job.state == "dead") == 0
    assert len(events("session.meeting_failed")) == 1
    assert events("session.link_missing") == [START - 15 * MINUTE]
    assert len(post.mails) == 2  # both were invited without a link

    platform.control(fail_next=0)

    def has_link() -> bool:
        tries()
        return stored(session_id).meeting_platform_join_url is not None

    wait_until(has_link, "the link")
    tries()
    assert count(Job.job_type == "provision_meeting", Job.state == "done") == 1
    assert len(post.mails) == 4
    assert events("session.link_missing") == [START - 15 * MINUTE]


def test_a_link_that_nobody_needs_any_more_is_skipped_and_not_left_to_a_person(
    platform: FakeMeetingPlatform,
) -> None:
    session_id = booked()
    platform.control(fail_next=10_000, status=503)
    tries()
    step(stored(session_id).scheduled_end_time - MINUTE)
    tries()
    assert count(Job.job_type == "provision_meeting", Job.state == "waiting") == 1
    step(stored(session_id).scheduled_end_time)
    tries()
    with transaction() as db:
        job = db.scalars(select(Job).where(Job.job_type == "provision_meeting")).one()
    assert (job.state, job.last_error) == ("skipped", "the session is over")


def test_a_session_with_a_link_is_not_reported(platform: FakeMeetingPlatform) -> None:
    booked()
    tries()
    step(START - MINUTE)
    tries()
    assert events("session.link_missing") == []
