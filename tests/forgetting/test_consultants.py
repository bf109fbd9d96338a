"""Forgetting a consultant, and exporting what is known of a person."""

from __future__ import annotations

import json
from datetime import datetime, time, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.context import Context
from booking_tasks.contracts import (
    ExportUser,
    SubmitRequest,
)
from booking_tasks.enums import RefusalCode
from booking_tasks.forgetting import export
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import (
    AbsencePlan,
    AssignmentBalance,
    AssignmentCredit,
    AssignmentDecision,
    AvailabilityPlan,
    AvailabilityRule,
    AvailabilitySlot,
    CalendarFeed,
    Consultant,
    ConsultantLeave,
    ConsultationRequest,
    DirectoryUser,
    OccupiedTime,
    ScheduledSession,
)
from tests import builders
from tests.builders import NOW, booked_session
from tests.forgetting.people import CANARY, event, forget
from tests.forgetting.search import places_with


@pytest.mark.parametrize("status", ["scheduled", "in_progress"])
def test_a_consultant_with_sessions_ahead_is_refused_and_nothing_changes(
    db: Session, ctx: Context, status: str
) -> None:
    session = booked_session(db, status=status)
    outcome = forget(db, ctx, session.consultant_user_id)
    assert (outcome.result, outcome.code) == ("refused", RefusalCode.SESSIONS_AHEAD)
    assert "plan_absence" in outcome.errors[0].problem
    assert db.get(DirectoryUser, session.consultant_user_id) is not None
    assert session.status == status


def former_consultant(db: Session) -> ScheduledSession:
    """A consultant with everything that one can have, whose only session is over."""
    session = booked_session(db, NOW - timedelta(days=9), status="completed", outcome_notes=CANARY)
    who, pool = session.consultant_user_id, session.consultation_service_type_id
    profile = db.get_one(Consultant, who)
    profile.bio, profile.specializations = CANARY, [CANARY]
    profile.assignment_weight = Decimal(2)
    db.get_one(DirectoryUser, who).name = CANARY
    builders.window(db, who, NOW + timedelta(days=1))
    feed = uuid7()
    db.add_all(
        [
            AvailabilityRule(consultant_user_id=who, weekday=1, start_local=time(9), end_local=time(10)),
            AvailabilityPlan(consultant_user_id=who, plan={"label": CANARY}),
            ConsultantLeave(
                consultant_user_id=who,
                start_local=datetime(2027, 1, 1),
                end_local=datetime(2027, 1, 9),
                reason=CANARY,
            ),
            CalendarFeed(
                id=feed,
                consultant_user_id=who,
                feed_type="ics",
                url=f"https://{CANARY}",
                username=CANARY,
                password=CANARY,
                addresses=[CANARY],
            ),
            AvailabilitySlot(
                consultant_user_id=who,
                start_time=NOW,
                end_time=NOW + timedelta(hours=1),
                status="unavailable",
                source=f"calendar:{feed}",
            ),
            AbsencePlan(consultant_user_id=who, reason=CANARY, actor=str(who), state="draft", planned_at=NOW),
            AssignmentBalance(consultation_service_type_id=pool, consultant_user_id=who, credits=Decimal(3)),
            AssignmentCredit(
                consultation_service_type_id=pool,
                consultant_user_id=who,
                credit_type="leave",
                amount=Decimal(3),
                credited_at=NOW,
            ),
            AssignmentDecision(
                consultation_request_id=session.consultation_request_id,
                decided_at=NOW,
                policy_version="1",
                consultant_user_id=who,
                reason="chosen",
                inputs={"balances": {str(who): ["1", "1", None]}},
                candidates=[{"consultant_user_id": str(who)}],
            ),
        ]
    )
    event(db, type="absence.applied", consultant_user_id=who, reason=CANARY, after={"to": str(who)})
    db.flush()
    return session


def test_a_former_consultant_leaves_an_empty_profile_under_another_id(db: Session, ctx: Context) -> None:
    session = former_consultant(db)
    who, requester = session.consultant_user_id, session.requester_user_id
    refusing = builders.request(
        db, session.consultation_service_type_id, excluded_consultant_user_ids=[who]
    ).id
    assert forget(db, ctx, who).result == "done"
    assert places_with(db, [CANARY, str(who)]) == []
    [profile] = db.scalars(select(Consultant)).all()
    person = profile.consultant_user_id
    assert (profile.is_available_for_booking, profile.bio, profile.specializations) == (False, None, [])
    assert profile.assignment_weight == 2
    [row] = db.scalars(select(ScheduledSession)).all()
    assert (row.consultant_user_id, row.requester_user_id, row.status) == (person, requester, "completed")
    assert {(one.role, one.person_id) for one in db.scalars(select(OccupiedTime))} == {
        ("consultant", person),
        ("requester", requester),
    }
    assert db.get_one(ConsultationRequest, refusing).excluded_consultant_user_ids == [person]
    [balance] = db.scalars(select(AssignmentBalance)).all()
    assert (balance.consultant_user_id, balance.credits) == (person, Decimal(3))
    [decision] = db.scalars(select(AssignmentDecision)).all()
    assert decision.candidates == [{"consultant_user_id": str(person)}]
    assert db.get(DirectoryUser, requester) is not None
    for model in (AvailabilityRule, AvailabilityPlan, ConsultantLeave, CalendarFeed):
        assert db.scalars(select(model)).all() == []


def test_time_that_others_hold_with_a_consultant_is_released(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db, requires_confirmation=True)
    teacher, requester = builders.consultant(db), builders.user(db)
    builders.user(db, user_id=teacher.consultant_user_id)
    builders.window(db, teacher.consultant_user_id, NOW + timedelta(days=1))
    command = SubmitRequest(
        message_id=uuid4(),
        actor="shop",
        request_id=uuid4(),
        requester_user_id=requester.user_id,
        service_type_id=service_type.id,
    )
    assert assignment.submit(db, ctx, command).status == "pending_confirmation"
    who = teacher.consultant_user_id
    assert forget(db, ctx, who).result == "done"
    row = db.get_one(ConsultationRequest, command.request_id)
    assert (row.status, row.requester_user_id) == ("pending_assignment", requester.user_id)
    assert places_with(db, [str(who)]) == []


def test_an_export_has_everything_of_a_person_and_no_secrets(db: Session, ctx: Context) -> None:
    session = former_consultant(db)
    event(db, consultation_request_id=session.consultation_request_id, actor="a")
    requester = export.export_user(db, ctx, ExportUser(user_id=session.requester_user_id))
    assert set(requester.tables) >= {
        "directory_users",
        "consultation_requests",
        "scheduled_sessions",
        "consultant_availability_slots",
        "assignment_decisions",
        "events",
    }
    assert requester.tables["directory_users"][0]["name"] == "Mira Lang"
    consultant = export.export_user(db, ctx, ExportUser(user_id=session.consultant_user_id))
    assert set(consultant.tables) >= {
        "consultant_profiles",
        "availability_rules",
        "availability_plans",
        "consultant_leaves",
        "calendar_feeds",
        "absence_plans",
        "assignment_balances",
        "assignment_credits",
        "scheduled_sessions",
    }
    assert "consultation_requests" not in consultant.tables
    [feed] = consultant.tables["calendar_feeds"]
    assert feed["username"] == CANARY
    assert not feed.keys() & {"password", "url"}
    assert requester.truncated == consultant.truncated == ()
    json.loads(consultant.model_dump_json())


def test_nothing_is_exported_of_a_stranger(db: Session, ctx: Context) -> None:
    booked_session(db)
    assert export.export_user(db, ctx, ExportUser(user_id=uuid4())).tables == {}
