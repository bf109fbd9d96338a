"""A booking is one statement: whole, or nothing of it and no lock left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.availability import service as availability
from booking_tasks.availability.service import Refusal
from booking_tasks.context import Context
from booking_tasks.contracts import BookSeries, Weekly
from booking_tasks.enums import RefusalCode
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import (
    AssignmentDecision,
    AvailabilitySlot,
    ConsultationRequest,
    Event,
    Job,
    ScheduledSession,
    ServiceType,
)
from booking_tasks.outbox.pending_wakeups import pending_wakeups
from booking_tasks.outbox.workflow import SessionSnapshot
from booking_tasks.requests.rules import NewRequest
from booking_tasks.series import service as series
from booking_tasks.sessions import service
from tests import builders
from tests.builders import NOW
from tests.invariants import ALWAYS

START = NOW + timedelta(days=1)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
WRITTEN = (ConsultationRequest, ScheduledSession, AvailabilitySlot, AssignmentDecision, Event, Job)


@contextmanager
def statements(db: Session) -> Iterator[list[str]]:
    """What the session sends meanwhile."""
    sent: list[str] = []

    def keep(_: object, __: object, statement: str, *___: object) -> None:
        sent.append(statement)

    connection = db.connection()
    event.listen(connection, "before_cursor_execute", keep)
    yield sent
    event.remove(connection, "before_cursor_execute", keep)


class Desk:
    """One consultant with eight hours, and ways to book them."""

    def __init__(self, db: Session, ctx: Context, **service_type: object) -> None:
        self.db, self.ctx = db, ctx
        self.service_type: ServiceType = builders.service_type(db, **service_type)
        self.who = builders.consultant(db).consultant_user_id
        builders.window(db, self.who, START)

    def new_request(self, requester: UUID | None = None) -> NewRequest:
        return NewRequest(
            id=uuid7(),
            requester_user_id=requester or uuid4(),
            consultation_service_type_id=self.service_type.id,
            company_id=None,
            preferred_consultant_user_id=self.who,
            preferred_start_time=START,
            request_details="a proof",
            series_id=uuid7(),
        )

    def agree(
        self, request: ConsultationRequest | NewRequest, start: datetime = START, length: timedelta = HOUR
    ) -> SessionSnapshot | Refusal:
        return service.schedule(
            self.db,
            self.ctx,
            request,
            self.who,
            start,
            start + length,
            decision=assignment.requester_choice(self.ctx, request, start),
        )

    def wrong(self) -> list[str]:
        return [name for name, rows in ALWAYS.items() if self.db.execute(text(rows)).first()]

    def rows(self) -> list[int | None]:
        return [self.db.scalar(select(func.count()).select_from(model)) for model in WRITTEN]


@pytest.fixture
def desk(db: Session, ctx: Context) -> Desk:
    return Desk(db, ctx)


def test_a_new_request_is_booked_with_its_session_in_one_statement(desk: Desk) -> None:
    new_one = desk.new_request()
    with statements(desk.db) as sent:
        agreed = desk.agree(new_one)
    assert isinstance(agreed, SessionSnapshot)
    assert len(sent) == 1
    request = desk.db.get_one(ConsultationRequest, new_one.id)
    session = desk.db.get_one(ScheduledSession, agreed.id)
    assert (request.status, request.scheduled_session_id) == ("scheduled", session.id)
    assert (session.consultation_request_id, session.status) == (request.id, "scheduled")
    assert (request.series_id, request.request_details) == (new_one.series_id, "a proof")
    assert desk.wrong() == []
    assert request.requested_at == request.updated_at == session.created_at == desk.ctx.now
    assert pending_wakeups(desk.db) == {"provision_meeting", "publish_event"}


def test_a_waiting_request_is_booked_in_one_statement_and_its_object_knows(desk: Desk) -> None:
    request = builders.request(
        desk.db, desk.service_type.id, status="pending_assignment", status_reason="all_booked"
    )
    with statements(desk.db) as sent:
        agreed = desk.agree(request)
        desk.db.flush()
        known = (request.status, request.status_reason, request.assigned_consultant_user_id)
    assert isinstance(agreed, SessionSnapshot)
    assert len(sent) == 1
    assert known == ("scheduled", None, desk.who)
    assert request.scheduled_session_id == agreed.id
    desk.db.refresh(request)
    assert (request.status, request.status_reason, request.assigned_consultant_user_id) == known


def test_a_hold_becomes_the_booking_in_one_statement(desk: Desk) -> None:
    request = builders.request(desk.db, desk.service_type.id)
    held = availability.hold_start(desk.db, desk.ctx, request, desk.who, START, NOW + HOUR)
    assert not isinstance(held, Refusal)
    with statements(desk.db) as sent:
        agreed = service.schedule(desk.db, desk.ctx, request, desk.who, held.start, held.end, from_hold=True)
    assert isinstance(agreed, SessionSnapshot)
    assert len(sent) == 1
    [reservation] = desk.db.scalars(
        select(AvailabilitySlot).where(AvailabilitySlot.requester_user_id.is_not(None))
    )
    assert (reservation.status, reservation.scheduled_session_id) == ("booked", agreed.id)
    assert reservation.id != held.slot_id


def test_a_hold_that_is_over_or_starts_elsewhere_is_not_booked(desk: Desk) -> None:
    request = builders.request(desk.db, desk.service_type.id)
    held = availability.hold_start(desk.db, desk.ctx, request, desk.who, START, NOW + HOUR)
    assert not isinstance(held, Refusal)
    before = desk.rows()
    later = Context(now=NOW + HOUR, actor="mira", entry_point="booking")
    for ctx, start in ((later, START), (desk.ctx, START + HOUR)):
        refused = service.schedule(desk.db, ctx, request, desk.who, start, start + HOUR, from_hold=True)
        assert refused == Refusal("hold_expired")
    assert desk.rows() == before
    assert request.status == "pending"


def test_a_series_is_one_statement_once_its_length_is_known(db: Session, ctx: Context) -> None:
    desk = Desk(db, ctx, default_duration_minutes=45)
    builders.window(db, desk.who, START + 7 * DAY)
    sent = []
    for hours in (0, 1):
        command = BookSeries(
            message_id=uuid7(),
            actor="shop",
            series_id=uuid7(),
            requester_user_id=uuid7(),
            service_type_id=desk.service_type.id,
            consultant_user_id=desk.who,
            starts=(START + hours * HOUR,),
            weekly=Weekly(times=2, time_zone="UTC"),
        )
        with statements(db) as found:
            done = series.book_series(db, ctx, command)
        assert [one.end - one.start for one in done.sessions] == [45 * MINUTE] * 2
        sent.append(len(found))
    assert sent == [2, 1]
    assert (desk.rows()[3:5], desk.wrong()) == ([4, 4], [])


def test_a_series_that_is_refused_gives_its_locks_back(own_database: str, ctx: Context) -> None:
    with transaction() as db:
        desk = Desk(db, ctx)
        assert isinstance(desk.agree(desk.new_request()), SessionSnapshot)
    command = BookSeries(
        message_id=uuid7(),
        actor="shop",
        series_id=uuid7(),
        requester_user_id=uuid7(),
        service_type_id=desk.service_type.id,
        consultant_user_id=desk.who,
        starts=(START, START + HOUR),
    )
    with transaction() as db, psycopg.connect(own_database) as rival:
        assert series.book_series(db, ctx, command).code == RefusalCode.CONFLICTS
        rival.execute(
            "SELECT FROM consultant_profiles WHERE consultant_user_id = %s FOR UPDATE NOWAIT", [desk.who]
        )


@pytest.mark.parametrize("code", ["slot_taken", "slot_not_free", "notice_too_short", "requester_busy"])
def test_what_is_refused_leaves_nothing_behind(db: Session, ctx: Context, code: str) -> None:
    desk = Desk(db, ctx, minimum_notice_minutes=60 * 25 if code == "notice_too_short" else 0)
    other = builders.consultant(db).consultant_user_id
    builders.window(db, other, START)
    first = desk.new_request()
    if code != "notice_too_short":
        service.schedule(db, ctx, first, other if code == "requester_busy" else desk.who, START, START + HOUR)
    again = desk.new_request(first.requester_user_id if code == "requester_busy" else None)
    before = desk.rows()
    start = START + 8 * HOUR if code == "slot_not_free" else START
    assert desk.agree(again, start) == Refusal(code)
    assert desk.rows() == before


def test_a_refusal_gives_its_locks_back(own_database: str, ctx: Context) -> None:
    with transaction() as db:
        desk = Desk(db, ctx)
        assert isinstance(desk.agree(desk.new_request()), SessionSnapshot)
        who = desk.who
    with transaction() as db, psycopg.connect(own_database) as rival:
        desk.db = db
        assert desk.agree(desk.new_request()) == Refusal("slot_taken")
        rival.execute(
            "SELECT FROM consultant_profiles WHERE consultant_user_id = %s FOR UPDATE NOWAIT", [who]
        )


def test_a_length_that_changed_since_it_was_looked_up_is_the_one_that_is_booked(desk: Desk) -> None:
    """Caller and lock disagree: what follows is computed again, for the end that the policy wants."""
    with statements(desk.db) as sent:
        agreed = desk.agree(desk.new_request(), length=HOUR / 2)
    assert isinstance(agreed, SessionSnapshot)
    assert len(sent) == 2
    assert agreed.end == START + HOUR
    session = desk.db.get_one(ScheduledSession, agreed.id)
    report = desk.db.scalars(select(Job).where(Job.job_type == "collect_attendance")).one()
    event = desk.db.scalars(select(Event)).one()
    assert (session.scheduled_end_time, report.due_at) == (START + HOUR, START + HOUR)
    assert event.after["end"] == (START + HOUR).isoformat()
    assert (desk.rows()[:4], desk.wrong()) == ([1, 1, 2, 1], [])


def test_who_undoes_a_booking_by_a_savepoint_finds_the_request_as_it_was(desk: Desk) -> None:
    request = builders.request(desk.db, desk.service_type.id, status="pending_assignment")
    before = desk.rows()
    savepoint = desk.db.begin_nested()
    assert isinstance(desk.agree(request), SessionSnapshot)
    savepoint.rollback()
    assert (request.status, request.scheduled_session_id) == ("pending_assignment", None)
    assert desk.rows() == before


def test_a_request_that_somebody_else_changed_is_not_booked(desk: Desk) -> None:
    """The caller holds its lock; one that does not is stopped by the database."""
    request = builders.request(desk.db, desk.service_type.id)
    desk.db.execute(text("UPDATE consultation_requests SET status = 'cancelled'"))
    before = desk.rows()
    with pytest.raises(DBAPIError, match="cannot change from pending to scheduled"), desk.db.begin_nested():
        desk.agree(request)
    assert desk.rows() == before
