"""Fairness credits: what a consultant was assigned counts for their turn, and can be reversed.

The request must be locked, or new in this transaction. Nothing here waits for the lock of the pool.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.credits import store
from booking_tasks.enums import CreditType, SessionStatus
from booking_tasks.hours.local_times import instant_of, last_instant_of
from booking_tasks.kit.time_zones import zone
from booking_tasks.models import ConsultationRequest

_MICRO = Decimal("0.000001")


def grant_credit(db: Session, ctx: Context, request: ConsultationRequest, consultant: UUID) -> bool:
    """Credit a consultant with a request; False when they have a credit for it that is not reversed."""
    return store.add_assignment(db, request, consultant, ctx.now)


def reverse_credit(db: Session, ctx: Context, request_id: UUID, reason: str) -> int:
    """Reverse every credit for a request; returns how many. A second call reverses nothing."""
    return store.add_reversals(db, request_id, reason, ctx.now)


def calibrate(db: Session, ctx: Context, consultant: UUID, before: Decimal, after: Decimal) -> None:
    """Adjust the credits of a consultant to a new weight, so that it counts from now on only.

    Without that, the first days after a change would make up for all the time before. Lock the consultant.
    """
    for pool, had in store.totals(db, consultant).items():
        amount = (had * (after / before - 1)).quantize(_MICRO)
        if amount:
            reason = f"weight {before:f} to {after:f}"
            store.add_entry(db, pool, consultant, CreditType.CALIBRATION, amount, ctx.now, reason=reason)


def credit_absence(
    db: Session,
    ctx: Context,
    consultant: UUID,
    since: datetime,
    until: datetime,
    cause_id: UUID,
    reason: str,
) -> int:
    """Credit what the others got on average, by weight, during an absence; returns the number of pools.

    So the consultant returns to their own turn, and is not first for a long time. Once for each cause.
    """
    return sum(
        store.add_entry(
            db,
            pool,
            consultant,
            CreditType.LEAVE,
            amount.quantize(_MICRO),
            ctx.now,
            cause_id=cause_id,
            reason=reason,
        )
        for pool, amount in store.missed(db, consultant, since, until).items()
    )


def record_verdict(db: Session, ctx: Context, request_id: UUID, consultant: UUID, status: str) -> bool:
    """Return the consultant's credit when the requester did not come; return whether anything was written.

    A corrected verdict takes the returned credit away again. A consultant whom the requester chose has no
    credit entry.
    """
    found = store.no_show(db, request_id, consultant)
    if found is None:
        return False
    pool, had = found
    returns = status == SessionStatus.NO_SHOW_USER and ctx.policies.assignment_no_show == "returns"
    amount = (Decimal(-1) if returns else Decimal(0)) - had
    if not amount:
        return False
    return store.add_entry(
        db, pool, consultant, CreditType.NO_SHOW, amount, ctx.now, request_id=request_id, reason=status
    )


def credit_leaves(db: Session, ctx: Context, limit: int = 200) -> int:
    """Credit every ended leave with what the others got meanwhile; returns the number of leaves.

    A leave that was removed before its end does not count.
    """
    credited = 0
    for leave in store.leaves_to_credit(db, ctx.now, limit):
        where = zone(leave.time_zone)
        since, until = instant_of(leave.start_local, where), last_instant_of(leave.end_local, where)
        if until <= ctx.now and credit_absence(
            db, ctx, leave.consultant_user_id, since, until, leave.id, "leave"
        ):
            credited += 1
    return credited
