"""A batch from its rows to its end, for tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.batch import service as batch
from booking_tasks.context import Context
from booking_tasks.models import (
    AssignmentDecision,
    ConsultationRequest,
    ScheduledSession,
)
from tests import builders
from tests.builders import NOW

TOMORROW = NOW + timedelta(days=1)
HOUR = timedelta(hours=1)


def plan_of(db: Session, ctx: Context) -> batch.BatchPlan:
    snapshot, others = batch.read_batch(db, ctx)
    return batch.plan_batch(snapshot, others, timedelta(seconds=60), lambda: 0.0)


def run(db: Session, ctx: Context) -> batch.BatchPlan:
    """The whole sweep, in the test's transaction."""
    plan = batch.store_plan(db, ctx, plan_of(db, ctx))
    for request_id in plan.request_ids_to_apply:
        plan.apply(db, ctx, request_id)
    batch.finish_plan(db, ctx, plan)
    return plan


def sessions(db: Session) -> dict[UUID, ScheduledSession]:
    return {one.consultation_request_id: one for one in db.scalars(select(ScheduledSession))}


def decisions(db: Session, request: ConsultationRequest) -> list[AssignmentDecision]:
    found = select(AssignmentDecision).where(AssignmentDecision.consultation_request_id == request.id)
    return list(db.scalars(found.order_by(AssignmentDecision.id)))


def consultant(db: Session, start: datetime = TOMORROW, hours: float = 8, **values: Any) -> UUID:
    who = builders.consultant(db, **values).consultant_user_id
    builders.window(db, who, start, hours)
    return who
