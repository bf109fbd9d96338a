"""What the choice reads and writes beside the slot ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from booking_tasks.identity import uuid7
from booking_tasks.models import AssignmentDecision, AvailabilitySlot, Consultant, ConsultationRequest


def everyone(db: Session) -> list[Consultant]:
    """Every consultant, in id order: also those who cannot, so that the decision can say why."""
    return list(db.execute(select(Consultant).order_by(Consultant.consultant_user_id)).scalars())


def loads(db: Session, consultants: Sequence[UUID], now: datetime) -> dict[UUID, int]:
    """How many bookings and live holds each of them has ahead."""
    rows = db.execute(
        select(AvailabilitySlot.consultant_user_id, func.count())
        .where(
            AvailabilitySlot.consultant_user_id.in_(consultants),
            AvailabilitySlot.end_time > now,
            or_(
                AvailabilitySlot.status == "booked",
                (AvailabilitySlot.status == "held") & (AvailabilitySlot.held_until > now),
            ),
        )
        .group_by(AvailabilitySlot.consultant_user_id)
    )
    return {row[0]: row[1] for row in rows}


def waiting_requests(db: Session, now: datetime, limit: int) -> list[UUID]:
    """Requests that wait for a consultant, the longest unlooked-at first."""
    return list(
        db.execute(
            select(ConsultationRequest.id)
            .where(
                ConsultationRequest.status.in_(("pending", "pending_assignment")),
                or_(ConsultationRequest.deadline_at.is_(None), ConsultationRequest.deadline_at > now),
            )
            .order_by(ConsultationRequest.updated_at.nulls_first(), ConsultationRequest.id)
            .limit(limit)
        ).scalars()
    )


def add_decision(db: Session, **values: Any) -> None:
    """Keep a decision with its inputs."""
    db.add(AssignmentDecision(id=uuid7(), **values))
    db.flush()
