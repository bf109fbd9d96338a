"""The entries of the fairness ledger. Appending one needs no lock of the pool."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, exists, insert, select
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.dialects.postgresql import insert as upserting
from sqlalchemy.orm import Session, aliased

from booking_tasks.enums import CreditType
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AssignmentCredit, Consultant, ConsultantLeave, ConsultationRequest
from booking_tasks.sql import query

_ASSIGNMENT = query(__package__, "insert_assignment").bindparams(
    *(bindparam(name, type_=PG_UUID(as_uuid=True)) for name in ("id", "pool", "who", "request")),
    bindparam("now", type_=TIMESTAMP(timezone=True)),
)


def add_assignment(db: Session, request: ConsultationRequest, consultant: UUID, now: datetime) -> bool:
    """Insert one credit for a request; False when the consultant has one already. One statement."""
    made = db.execute(
        _ASSIGNMENT,
        {
            "id": uuid7(),
            "pool": request.consultation_service_type_id,
            "who": consultant,
            "now": now,
            "request": request.id,
        },
    )
    return made.first() is not None


def add_reversals(db: Session, request_id: UUID, reason: str, now: datetime) -> int:
    """Insert a reversal of every assignment of a request that has none; returns how many."""
    valid, earlier = aliased(AssignmentCredit), aliased(AssignmentCredit)
    rows = db.execute(
        select(valid).where(
            valid.consultation_request_id == request_id,
            valid.credit_type == CreditType.ASSIGNMENT,
            ~exists().where(earlier.reverses == valid.id),
        )
    ).scalars()
    reversals = [
        {
            "id": uuid7(),
            "consultation_service_type_id": one.consultation_service_type_id,
            "consultant_user_id": one.consultant_user_id,
            "credit_type": CreditType.REVERSAL,
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


def add_entry(
    db: Session,
    pool: UUID,
    consultant: UUID,
    credit_type: CreditType,
    amount: Decimal,
    now: datetime,
    *,
    cause_id: UUID | None = None,
    request_id: UUID | None = None,
    reason: str | None = None,
) -> bool:
    """Insert an entry that is not an assignment; False when its cause has an entry already."""
    made = db.execute(
        upserting(AssignmentCredit)
        .values(
            id=uuid7(),
            consultation_service_type_id=pool,
            consultant_user_id=consultant,
            credit_type=credit_type,
            amount=amount,
            credited_at=now,
            cause_id=cause_id,
            consultation_request_id=request_id,
            reason=reason,
        )
        .on_conflict_do_nothing(constraint="uq_assignment_credits_cause")
        .returning(AssignmentCredit.id)
    )
    return made.first() is not None


def totals(db: Session, consultant: UUID) -> dict[UUID, Decimal]:
    """Pool -> all credits of the consultant there, whether the balance counts them yet or not."""
    rows = db.execute(_TOTALS, {"who": consultant})
    return {row.pool: row.credits for row in rows}


def missed(db: Session, consultant: UUID, since: datetime, until: datetime) -> dict[UUID, Decimal]:
    """Pool -> the credits of the others between two instants, in proportion to the consultant's weight."""
    rows = db.execute(_MISSED, {"who": consultant, "since": since, "until": until})
    return {row.pool: row.amount for row in rows if row.amount is not None and row.amount > 0}


_TOTALS = query(__package__, "totals")
_MISSED = query(__package__, "missed_turns")


class EndedLeave(NamedTuple):
    """A leave, in the local time of the consultant."""

    id: UUID
    consultant_user_id: UUID
    start_local: datetime
    end_local: datetime
    time_zone: str


def leaves_to_credit(db: Session, now: datetime, limit: int) -> list[EndedLeave]:
    """Leaves that ended within the last days, a day more for the time zones, and have no entry yet."""
    local = now.replace(tzinfo=None)
    credited = exists().where(
        AssignmentCredit.credit_type == CreditType.LEAVE, AssignmentCredit.cause_id == ConsultantLeave.id
    )
    rows = db.execute(
        select(
            ConsultantLeave.id,
            ConsultantLeave.consultant_user_id,
            ConsultantLeave.start_local,
            ConsultantLeave.end_local,
            Consultant.time_zone,
        )
        .join(Consultant, Consultant.consultant_user_id == ConsultantLeave.consultant_user_id)
        .where(
            ConsultantLeave.end_local > local - LOOKBACK,
            ConsultantLeave.end_local < local + ZONES,
            ~credited,
        )
        .order_by(ConsultantLeave.end_local, ConsultantLeave.id)
        .limit(limit)
    )
    return [EndedLeave(*row) for row in rows]


LOOKBACK = timedelta(days=7)
ZONES = timedelta(days=1)

_NO_SHOW = query(__package__, "no_show_credit")


def no_show(db: Session, request_id: UUID, consultant: UUID) -> tuple[UUID, Decimal] | None:
    """The pool of an assignment that is not reversed, and the sum of its no-show entries, or None."""
    row = db.execute(_NO_SHOW, {"request": request_id, "who": consultant}).one_or_none()
    return None if row is None else (row.pool, row.had)
