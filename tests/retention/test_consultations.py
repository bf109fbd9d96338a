"""What is purged of consultations: texts, decisions, credits, requests, people and hours, and what stays."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.credits import store as ledger
from booking_tasks.enums import CreditType
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import first_id_of, uuid7
from booking_tasks.models import (
    AssignmentBalance,
    AssignmentCredit,
    AssignmentDecision,
    AttendanceEvidence,
    AvailabilityRule,
    AvailabilitySlot,
    ConsultationRequest,
    DirectoryUser,
    ForgottenPerson,
    OccupiedTime,
    PastCount,
    ScheduledSession,
    TimeOffer,
)
from tests import builders
from tests.builders import NOW, booked_session, consultant
from tests.retention.test_service import left, purge


def ended(db: Session, days: float, **values: Any) -> ConsultationRequest:
    """A request that ended `days` ago."""
    at = NOW - timedelta(days=days)
    return builders.request(
        db,
        builders.service_type(db).id,
        **{"status": "cancelled", "requested_at": at, "updated_at": at} | values,
    )


def held(db: Session, days: float, status: str = "completed", **values: Any) -> ScheduledSession:
    """A session that was held `days` ago, with its request, booking, evidence, offer and decision."""
    start = NOW - timedelta(days=days)
    row = booked_session(db, start, status=status, **values)
    request = db.get(ConsultationRequest, row.consultation_request_id)
    assert request is not None
    request.requested_at = request.updated_at = row.updated_at = row.created_at = start
    builders.take_steps(db, request, "completed" if status == "completed" else "cancelled")
    db.add_all(
        [
            AttendanceEvidence(
                scheduled_session_id=row.id,
                evidence_type="room_opened",
                observed_at=start,
                source="platform",
                external_id=str(row.id),
            ),
            TimeOffer(
                consultation_request_id=request.id,
                consultant_user_id=row.consultant_user_id,
                start_time=start,
                end_time=start + timedelta(hours=1),
                hold_token=uuid7(),
                state="accepted",
                offered_at=start,
                offered_until=start,
                ended_at=start,
            ),
            decision(request.id),
        ]
    )
    db.flush()
    return row


def decision(request_id: UUID, made: datetime | None = None) -> AssignmentDecision:
    return AssignmentDecision(
        id=first_id_of(made) if made else uuid7(),
        consultation_request_id=request_id,
        decided_at=NOW,
        policy_version="1",
        reason="chosen",
        inputs={},
        candidates=[],
    )


def credit(db: Session, pool: UUID, who: UUID, days: float, **values: Any) -> AssignmentCredit:
    row = AssignmentCredit(
        **{
            "consultation_service_type_id": pool,
            "consultant_user_id": who,
            "credit_type": "leave",
            "amount": Decimal(2),
            "credited_at": NOW - timedelta(days=days),
            "is_counted": True,
        }
        | values
    )
    db.add(row)
    db.flush()
    return row


def test_the_texts_of_a_request_go_and_the_request_stays(db: Session, ctx: Context) -> None:
    texts = {"request_details": "about my marks", "status_reason": "my mother is ill"}
    old, young = ended(db, 366, **texts), ended(db, 364, **texts)
    changed = ended(db, 500, updated_at=NOW - timedelta(days=1), **texts)
    waiting = ended(db, 500, status="pending_assignment", **texts)
    assert purge(db, ctx, "request_texts") == 1
    assert purge(db, ctx, "request_texts") == 0
    rows = {row.id: (row.request_details, row.status_reason) for row in left(db, ConsultationRequest)}
    kept = tuple(texts.values())
    assert rows == {old.id: (None, None), young.id: kept, changed.id: kept, waiting.id: kept}


@pytest.mark.parametrize(
    ("status", "days", "goes"),
    [
        ("completed", 366, True),
        ("cancelled_by_user", 366, True),
        ("completed", 364, False),
        ("scheduled", 366, False),
        ("in_progress", 366, False),
    ],
)
def test_the_texts_of_a_session_go_once_it_is_over(
    db: Session, ctx: Context, status: str, days: int, goes: bool
) -> None:
    start = NOW - timedelta(days=days)
    row = booked_session(
        db,
        start,
        status=status,
        outcome_notes="talked about anxiety",
        status_reason="ill",
        meeting_platform_join_url="https://meet.example.org/secret",
        updated_at=start,
        created_at=start,
    )
    assert purge(db, ctx, "session_texts") == int(goes)
    db.refresh(row)
    texts = {row.outcome_notes, row.status_reason, row.meeting_platform_join_url}
    assert (texts == {None}) is goes
    assert row.status == status


def balance(db: Session, who: UUID) -> dict[UUID, Decimal]:
    return ledger.totals(db, who)


def test_old_credits_go_and_every_balance_stays(db: Session, ctx: Context) -> None:
    who = consultant(db).consultant_user_id
    pool, retired = builders.service_type(db).id, builders.service_type(db).id
    for days, counted in ((731, True), (740, True), (729, True), (731, False), (1, False)):
        credit(db, pool, who, days, is_counted=counted)
    credit(db, retired, who, 800, is_counted=False)
    db.add(AssignmentBalance(consultation_service_type_id=pool, consultant_user_id=who, credits=Decimal(6)))
    db.flush()
    before = balance(db, who)
    assert before == {pool: Decimal(10)}  # the retired pool has no balance yet
    assert purge(db, ctx, "uncounted_credits") == 2
    assert balance(db, who) == {pool: Decimal(10), retired: Decimal(2)}
    assert purge(db, ctx, "credits") == 4
    assert purge(db, ctx, "uncounted_credits") == 0
    assert purge(db, ctx, "credits") == 0
    assert balance(db, who) == {pool: Decimal(10), retired: Decimal(2)}
    assert sorted((NOW - row.credited_at).days for row in left(db, AssignmentCredit)) == [1, 729]


def test_a_reversal_goes_with_what_it_reverses_and_not_before(db: Session, ctx: Context) -> None:
    who = consultant(db).consultant_user_id
    one, two = ended(db, 800), ended(db, 800)
    pool = one.consultation_service_type_id
    for request, days in ((one, 800), (two, 10)):
        assignment = credit(
            db, pool, who, 900, credit_type=CreditType.ASSIGNMENT, consultation_request_id=request.id
        )
        credit(
            db,
            pool,
            who,
            days,
            credit_type=CreditType.REVERSAL,
            consultation_request_id=request.id,
            reverses=assignment.id,
        )
    assert purge(db, ctx, "credits", limit=1) == 1
    assert purge(db, ctx, "credits", limit=1) == 0
    assert {row.consultation_request_id for row in left(db, AssignmentCredit)} == {two.id}


def test_a_credit_of_a_request_that_has_not_ended_stays_to_be_reversed(db: Session, ctx: Context) -> None:
    session = booked_session(db)
    credit(
        db,
        session.consultation_service_type_id,
        session.consultant_user_id,
        900,
        credit_type=CreditType.ASSIGNMENT,
        consultation_request_id=session.consultation_request_id,
    )
    assert purge(db, ctx, "credits") == 0


def test_old_requests_go_with_all_that_refers_to_them_and_their_number_stays(
    db: Session, ctx: Context
) -> None:
    old, cancelled, young = held(db, 1096), held(db, 1200, "cancelled_by_user"), held(db, 1094)
    who = old.consultant_user_id
    credit(
        db,
        old.consultation_service_type_id,
        who,
        1096,
        credit_type=CreditType.ASSIGNMENT,
        consultation_request_id=old.consultation_request_id,
    )
    db.add(
        AssignmentBalance(
            consultation_service_type_id=old.consultation_service_type_id,
            consultant_user_id=who,
            credits=Decimal(2),
        )
    )
    rejected, waiting = ended(db, 1100, status="rejected"), ended(db, 1100, status="pending_assignment")
    db.flush()
    before, pool = balance(db, who), old.consultation_service_type_id
    kinds = {
        (old.consultation_service_type_id, "completed", "completed", 1),
        (cancelled.consultation_service_type_id, "cancelled", "cancelled_by_user", 1),
        (rejected.consultation_service_type_id, "rejected", "", 1),
    }
    kept, kept_session = {young.consultation_request_id, waiting.id}, young.id
    assert purge(db, ctx, "requests") == 3
    assert {row.id for row in left(db, ConsultationRequest)} == kept
    assert {row.id for row in left(db, ScheduledSession)} == {kept_session}
    for model in (AttendanceEvidence, TimeOffer, AssignmentDecision):
        assert len(left(db, model)) == 1
    assert {row.scheduled_session_id for row in left(db, AvailabilitySlot)} == {kept_session}
    assert len(left(db, OccupiedTime)) == 2
    assert left(db, AssignmentCredit) == []
    assert balance(db, who) == before == {pool: Decimal(2)}
    counts = left(db, PastCount)
    shown = {
        (row.consultation_service_type_id, row.request_status, row.session_status, row.number)
        for row in counts
    }
    assert shown == kinds
    assert {row.month.day for row in counts} == {1}


def test_counts_of_later_purges_are_added(db: Session, ctx: Context) -> None:
    pool = builders.service_type(db).id
    for _ in range(3):
        at = NOW - timedelta(days=1100)
        builders.request(db, pool, status="cancelled", requested_at=at, updated_at=at)
    assert [purge(db, ctx, "requests", limit=2) for _ in range(2)] == [2, 1]
    assert [row.number for row in left(db, PastCount)] == [3]


def test_a_request_goes_after_the_one_that_replaces_it(db: Session, ctx: Context) -> None:
    first = ended(db, 1200)
    second = ended(db, 1094, replaces_request_id=first.id)
    assert purge(db, ctx, "requests") == 0
    second.requested_at = second.updated_at = NOW - timedelta(days=1096)
    db.flush()
    assert [purge(db, ctx, "requests") for _ in range(2)] == [1, 1]


def test_a_request_with_a_credit_that_no_balance_counts_stays(db: Session, ctx: Context) -> None:
    session = held(db, 1096)
    who, pool = session.consultant_user_id, session.consultation_service_type_id
    credit(
        db,
        pool,
        who,
        1096,
        credit_type=CreditType.ASSIGNMENT,
        consultation_request_id=session.consultation_request_id,
        is_counted=False,
    )
    assert purge(db, ctx, "requests") == 0
    assert purge(db, ctx, "uncounted_credits") == 1
    assert purge(db, ctx, "requests") == 1
    assert balance(db, who) == {pool: Decimal(2)}


def test_people_go_when_nothing_refers_to_them_any_more(db: Session, ctx: Context) -> None:
    old, young = NOW - timedelta(days=1096), NOW - timedelta(days=1094)
    builders.user(db, created_at=old)
    again = builders.user(db, created_at=old, updated_at=young)
    requester, teacher = builders.user(db, created_at=old), builders.user(db, created_at=old)
    builders.request(db, builders.service_type(db).id, requester_user_id=requester.user_id)
    consultant(db, consultant_user_id=teacher.user_id)
    assert purge(db, ctx, "people") == 1
    assert {row.user_id for row in left(db, DirectoryUser)} == {
        again.user_id,
        requester.user_id,
        teacher.user_id,
    }


def test_the_id_of_a_forgotten_person_goes_with_the_last_row_that_has_it(db: Session, ctx: Context) -> None:
    request, profile = ended(db, 1), consultant(db)
    used = {request.requester_user_id, profile.consultant_user_id}
    db.add_all(ForgottenPerson(person_id=one, forgotten_at=NOW) for one in (*used, uuid7()))
    db.flush()
    assert purge(db, ctx, "forgotten_people") == 1
    assert {row.person_id for row in left(db, ForgottenPerson)} == used


def test_hours_that_are_over_go_and_reservations_stay(db: Session, ctx: Context) -> None:
    who = consultant(db).consultant_user_id
    session = booked_session(db, NOW - timedelta(days=200))
    for days in (91, 89):
        start = NOW - timedelta(days=days, hours=1)
        builders.window(db, who, start, hours=1)
        db.add(
            AvailabilitySlot(
                consultant_user_id=who,
                start_time=start,
                end_time=start + timedelta(hours=1),
                status="unavailable",
                source="leave",
            )
        )
        db.add(
            AvailabilityRule(
                consultant_user_id=who,
                local_date=(NOW - timedelta(days=days)).date(),
                start_local=time(9),
                end_local=time(10),
            )
        )
    db.add(AvailabilityRule(consultant_user_id=who, weekday=1, start_local=time(9), end_local=time(10)))
    db.flush()
    assert purge(db, ctx, "past_hours", limit=1) == 1
    assert purge(db, ctx, "past_hours") == 1
    assert purge(db, ctx, "single_hours") == 1
    slots = {(row.status, (NOW - row.end_time).days) for row in left(db, AvailabilitySlot)}
    assert slots == {("available", 89), ("unavailable", 89), ("booked", 199)}
    assert session.status == "scheduled"
    dates = {row.local_date for row in left(db, AvailabilityRule)}
    assert dates == {None, (NOW - timedelta(days=89)).date()}


@pytest.mark.parametrize(
    ("part", "index"),
    [
        ("request_texts", "ix_consultation_requests_texts"),
        ("session_texts", "ix_scheduled_sessions_texts"),
        ("requests", "ix_consultation_requests_ended"),
    ],
)
@pytest.mark.usefixtures("own_database")  # tables that other tests have filled have other plans
def test_what_is_old_is_found_by_an_index(ctx: Context, part: str, index: str) -> None:
    with transaction() as db:
        db.execute(text("SET LOCAL enable_seqscan = off"))
        db.execute(text("SET LOCAL enable_bitmapscan = off"))
        scans = select(func.coalesce(func.pg_stat_get_xact_numscans(func.to_regclass(index)), 0))
        before = db.scalar(scans) or 0
        purge(db, ctx, part)
        assert (db.scalar(scans) or 0) > before
