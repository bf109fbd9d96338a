"""Exporting all that is known of a person: the rows of every table that are about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, cast, inspect, or_, select, text
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import ExportUser, ExportUserOutcome
from booking_tasks.forgetting.block_ranges import block_ranges
from booking_tasks.models import (
    AbsencePlan,
    AbsencePlanStep,
    AssignmentBalance,
    AssignmentCredit,
    AssignmentDecision,
    AttendanceEvidence,
    AvailabilityPlan,
    AvailabilityRule,
    AvailabilitySlot,
    Base,
    CalendarFeed,
    Consultant,
    ConsultantLeave,
    ConsultantPolicy,
    ConsultationRequest,
    DirectoryUser,
    Event,
    InboxMessage,
    Job,
    ScheduledSession,
    SessionMailbox,
    TimeOffer,
)

#: The most rows of one table: the latest ones.
MOST_ROWS = 5000
#: Tables whose rows belong to one consultant.
_OF_CONSULTANTS = (
    Consultant,
    ConsultantPolicy,
    AvailabilityPlan,
    AvailabilityRule,
    ConsultantLeave,
    CalendarFeed,
    AssignmentBalance,
    AssignmentCredit,
    AbsencePlan,
)
#: Tables that are read from end to end, because no index leads to a person.
_LARGE = (Event, Job, InboxMessage, AssignmentDecision)
#: Columns that give access to something, or are bytes of a mail.
_SECRET = frozenset({"password", "url", "hold_token", "lease_token", "payload", "body_hash"})


def export_user(db: Session, ctx: Context, query: ExportUser) -> ExportUserOutcome:
    """Return all rows about a person by table; tables without such a row are left out.

    It needs one snapshot (`unit_of_work`).
    """
    tables: dict[str, tuple[dict[str, Any], ...]] = {}
    truncated: list[str] = []
    for model, condition in _about(query.user_id):
        rows = _rows(db, model, condition)
        if len(rows) > MOST_ROWS:
            truncated.append(model.__tablename__)
        if rows:
            tables[model.__tablename__] = tuple(reversed(rows[:MOST_ROWS]))
    return ExportUserOutcome(
        result="done",
        exported_at=ctx.now,
        user_id=query.user_id,
        tables=tables,
        truncated=tuple(truncated),
    )


def _about(who: UUID) -> Sequence[tuple[type[Base], ColumnElement[bool]]]:
    """Each table with the condition for its rows about the person."""
    return [
        (DirectoryUser, DirectoryUser.user_id == who),
        *_consultations(who),
        *((model, model.__table__.c.consultant_user_id == who) for model in _OF_CONSULTANTS),
        *_traffic(who),
    ]


def _consultations(who: UUID) -> Iterator[tuple[type[Base], ColumnElement[bool]]]:
    requests = select(ConsultationRequest.id).where(ConsultationRequest.requester_user_id == who)
    is_theirs = or_(ScheduledSession.requester_user_id == who, ScheduledSession.consultant_user_id == who)
    sessions = select(ScheduledSession.id).where(is_theirs)
    plans = select(AbsencePlan.id).where(AbsencePlan.consultant_user_id == who)
    yield ConsultationRequest, ConsultationRequest.requester_user_id == who
    yield ScheduledSession, is_theirs
    slot = AvailabilitySlot
    yield slot, or_(slot.consultant_user_id == who, slot.requester_user_id == who)
    yield SessionMailbox, SessionMailbox.user_id == who
    yield AttendanceEvidence, AttendanceEvidence.scheduled_session_id.in_(sessions)
    for model in (TimeOffer, AssignmentDecision):
        yield model, or_(model.consultation_request_id.in_(requests), model.consultant_user_id == who)
    yield (
        AbsencePlanStep,
        or_(AbsencePlanStep.plan_id.in_(plans), AbsencePlanStep.consultant_user_id == who),
    )


def _traffic(who: UUID) -> Iterator[tuple[type[Base], ColumnElement[bool]]]:
    """The history, the jobs and the messages."""
    requests = select(ConsultationRequest.id).where(ConsultationRequest.requester_user_id == who)
    is_named = Event.consultant_user_id == who, Event.actor == str(who)
    yield Event, or_(Event.consultation_request_id.in_(requests), *is_named)
    yield Job, or_(Job.args["recipient"].astext == str(who), Job.subject_id == who)
    texts = cast(InboxMessage.body, String), cast(InboxMessage.outcome, String)
    yield InboxMessage, or_(*(one.contains(str(who)) for one in texts))


def _rows(db: Session, model: type[Base], condition: ColumnElement[bool]) -> list[dict[str, Any]]:
    """The latest rows, one more than the most; secrets are left out."""
    if model in _LARGE:
        condition = _is_one_of_the_latest(db, model, condition)
    columns = [one for one in model.__table__.c if one.name not in _SECRET]
    latest = [one.desc() for one in model.__table__.c if one.primary_key]
    found = select(*columns).where(condition).order_by(*latest).limit(MOST_ROWS + 1)
    return [dict(row) for row in db.execute(found).mappings()]


def _is_one_of_the_latest(
    db: Session, model: type[Base], condition: ColumnElement[bool]
) -> ColumnElement[bool]:
    """The rows of a large table that fulfil the condition, found range by range."""
    (key,) = inspect(model).primary_key
    found = select(key).where(
        text(f"{model.__tablename__}.ctid >= CAST(:first AS tid)"),
        text(f"{model.__tablename__}.ctid < CAST(:behind AS tid)"),
        condition,
    )
    ids: list[UUID] = []
    for bounds in block_ranges(db, model.__tablename__):
        ids = sorted([*ids, *db.execute(found, bounds).scalars()])[-MOST_ROWS - 1 :]
    return key.in_(ids)
