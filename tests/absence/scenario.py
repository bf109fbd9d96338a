"""A consultant's day with several sessions, and colleagues who may take them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from booking_tasks.absence import plans
from booking_tasks.context import Context
from booking_tasks.contracts import AbsencePlanOutcome, ApplyAbsencePlan, PlanAbsence, UndoAbsencePlan
from booking_tasks.models import AssignmentDecision, ScheduledSession
from tests import builders
from tests.builders import NOW

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
#: 10:00 on the day of the absence, in the consultants' zone as in UTC.
TEN = NOW + 2 * DAY + HOUR
LINK = "https://meet.example.org/r/1"


@dataclass
class Day:
    """Okafor's sessions at 10, 11 and 12.

    Stein can take the first, works again on the day after, and lacks the specialization of the third.
    """

    service_type_id: UUID
    okafor: UUID
    stein: UUID
    first: ScheduledSession
    second: ScheduledSession
    third: ScheduledSession


def colleague(db: Session, *spans: tuple[datetime, float], **values: object) -> UUID:
    """A consultant with a window for each (start, hours), and with a directory entry."""
    who = builders.consultant(db, **values).consultant_user_id
    builders.user(db, user_id=who, name=f"Dr {who.hex[-6:]}")
    for start, hours in spans:
        builders.window(db, who, start, hours)
    return who


def meeting(
    db: Session, who: UUID, service_type_id: UUID, start: datetime, minutes: int = 60, **criteria: object
) -> ScheduledSession:
    """A scheduled session with a link, its request, its decision and its booked slot."""
    requester = builders.user(db)
    end = start + timedelta(minutes=minutes)
    request = builders.request(
        db,
        service_type_id,
        requester_user_id=requester.user_id,
        status="scheduled",
        assigned_consultant_user_id=who,
        **criteria,
    )
    session = ScheduledSession(
        consultation_request_id=request.id,
        requester_user_id=requester.user_id,
        consultant_user_id=who,
        consultation_service_type_id=service_type_id,
        scheduled_start_time=start,
        scheduled_end_time=end,
        revised_at=NOW,
        created_at=NOW,
        meeting_platform_join_url=LINK,
    )
    db.add(session)
    db.flush()
    db.refresh(session)
    request.scheduled_session_id = session.id
    db.add(builders.booking(session))
    db.add(
        AssignmentDecision(
            consultation_request_id=request.id,
            decided_at=NOW,
            policy_version="1",
            reason="chosen",
            inputs={},
            candidates=[],
        )
    )
    db.flush()
    return session


#: The tables that an undone plan must leave exactly as they were.
_TABLES = (
    "consultant_availability_slots",
    "scheduled_sessions",
    "consultation_requests",
    "jobs",
    "events",
    "assignment_decisions",
    "assignment_credits",
)


def rows(db: Session, *tables: str) -> dict[str, list[str]]:
    """Every row of these tables with every column, as PostgreSQL writes it."""
    db.flush()
    return {
        table: list(db.execute(text(f"SELECT t::text FROM {table} t ORDER BY t.id")).scalars())
        for table in tables or _TABLES
    }


def plan(db: Session, ctx: Context, who: UUID, **values: Any) -> AbsencePlanOutcome:
    """Draft a plan for the whole day, or as `values` state."""
    day = {"start": TEN.replace(hour=0, tzinfo=None), "end": (TEN + DAY).replace(hour=0, tzinfo=None)}
    span = {} if "leave_id" in values or "start" in values else day
    command = PlanAbsence.model_validate(
        {
            "message_id": uuid4(),
            "actor": "desk",
            "plan_id": uuid4(),
            "consultant_user_id": who,
            "reason": "ill",
        }
        | span
        | values
    )
    return plans.plan_absence(db, ctx, command)


def apply(db: Session, ctx: Context, plan_id: UUID | None) -> AbsencePlanOutcome:
    assert plan_id is not None
    return plans.apply_plan(db, ctx, ApplyAbsencePlan(message_id=uuid4(), actor="desk", plan_id=plan_id))


def undo(db: Session, ctx: Context, plan_id: UUID | None) -> AbsencePlanOutcome:
    assert plan_id is not None
    return plans.undo_plan(db, ctx, UndoAbsencePlan(message_id=uuid4(), actor="desk", plan_id=plan_id))


def shown(outcome: AbsencePlanOutcome) -> list[tuple[UUID, str, UUID | None, datetime | None]]:
    """Each step as (session, action, whom, when)."""
    return [(one.session_id, one.action, one.consultant_user_id, one.start) for one in outcome.steps]
