"""Whether a consultant whom the requester chose may take a booking: their companies and their capacity."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import store
from booking_tasks.context import Context
from booking_tasks.enums import RefusalCode


def chosen_refusal(
    db: Session, ctx: Context, consultant_user_id: UUID, company_id: UUID | None
) -> Literal[RefusalCode.NOT_FOR_COMPANY, RefusalCode.AT_CAPACITY] | None:
    """Lock a chosen consultant, and return why they may not have one more booking of this company.

    The same rules as for a request that is assigned: somebody with companies serves nobody else, also nobody
    without a company. None for an unknown consultant.
    """
    limits = store.lock_limits(db, consultant_user_id)
    if limits is None:
        return None
    if limits.company_ids is not None and company_id not in limits.company_ids:
        return RefusalCode.NOT_FOR_COMPANY
    # Read once the lock is held: the count of the statement that waited for it can be an older one.
    if limits.capacity is not None and store.at_capacity(db, [consultant_user_id], ctx.now):
        return RefusalCode.AT_CAPACITY
    return None
