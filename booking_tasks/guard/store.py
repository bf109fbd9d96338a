"""Parked messages: their task is unknown to this release, so they are kept whole until a release has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.models import ParkedMessage

#: The limit of parked messages of each queue, enough for an upgrade. Each queue has its own limit, so that a
#: sender of one queue cannot use up the others'. More messages than this are not kept whole.
MAX_PARKED = 10_000


def park(db: Session, task: str, queue: str, arguments: dict[str, Any], body_hash: str) -> bool:
    """Keep a message whole, a repeat only once. Returns False when its queue has reached the limit."""
    same = (ParkedMessage.task == task, ParkedMessage.queue == queue, ParkedMessage.body_hash == body_hash)
    count = select(func.count()).select_from(ParkedMessage).where(ParkedMessage.queue == queue)
    is_below_limit = count.scalar_subquery() < MAX_PARKED
    values = select(
        literal(task), literal(queue), literal(body_hash), literal(arguments, ParkedMessage.arguments.type)
    ).where(or_(is_below_limit, exists().where(*same)))
    parking = insert(ParkedMessage).from_select(["task", "queue", "body_hash", "arguments"], values)
    # The update changes nothing; it makes RETURNING right also when the existing row is deleted meanwhile.
    kept = parking.on_conflict_do_update(
        index_elements=["task", "queue", "body_hash"], set_={"body_hash": parking.excluded.body_hash}
    )
    return db.execute(kept.returning(ParkedMessage.id)).one_or_none() is not None


def parked(db: Session, tasks: Iterable[str], limit: int) -> list[ParkedMessage]:
    """Return parked messages of these tasks, oldest first."""
    known = select(ParkedMessage).where(ParkedMessage.task.in_(sorted(tasks)))
    return list(db.scalars(known.order_by(ParkedMessage.received_at, ParkedMessage.id).limit(limit)))


def unpark(db: Session, parked_id: UUID) -> None:
    """Delete a parked message, because it was run or became a dead letter."""
    db.execute(delete(ParkedMessage).where(ParkedMessage.id == parked_id))
