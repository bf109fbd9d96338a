"""The ledger's entries. Appending needs no lock of the pool."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, insert, literal, select
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session, aliased

from booking_tasks.identity import uuid7
from booking_tasks.models import AssignmentCredit, ConsultationRequest

_UUID = PG_UUID(as_uuid=True)


def add_assignment(db: Session, request: ConsultationRequest, consultant: UUID, now: datetime) -> bool:
    """One credit for a consultant who got a request; False when they have it already. One round trip."""
    columns = AssignmentCredit.__table__.c
    taken_back = aliased(AssignmentCredit)
    open_already = exists().where(
        columns.consultation_request_id == request.id,
        columns.consultant_user_id == consultant,
        columns.kind == "assignment",
        ~exists().where(taken_back.reverses == columns.id),
    )
    entry = select(
        literal(uuid7(), _UUID),
        literal(request.consultation_service_type_id, _UUID),
        literal(consultant, _UUID),
        literal("assignment"),
        literal(1),
        literal(now, TIMESTAMP(timezone=True)),
        literal(request.id, _UUID),
    ).where(~open_already)
    names = (
        "id", "consultation_service_type_id", "consultant_user_id", "kind", "amount", "credited_at",
        "consultation_request_id",
    )  # fmt: skip
    made = db.execute(insert(AssignmentCredit).from_select(names, entry).returning(columns.id))
    return made.first() is not None


def add_reversals(db: Session, request_id: UUID, reason: str, now: datetime) -> int:
    """Take back every assignment of a request that stands; how many. Safe to repeat."""
    standing, earlier = aliased(AssignmentCredit), aliased(AssignmentCredit)
    rows = db.execute(
        select(standing).where(
            standing.consultation_request_id == request_id,
            standing.kind == "assignment",
            ~exists().where(earlier.reverses == standing.id),
        )
    ).scalars()
    reversals = [
        {
            "id": uuid7(),
            "consultation_service_type_id": one.consultation_service_type_id,
            "consultant_user_id": one.consultant_user_id,
            "kind": "reversal",
            "amount": -one.amount,
            "credited_at": now,
            "consultation_request_id": request_id,
            "reverses": one.id,
            "reason": reason,
        }
        for one in rows
    ]
    if reversals:
        db.execute(insert(AssignmentCredit), reversals)
    return len(reversals)
