"""Parked messages: what this release does not know, kept whole until one does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.models import ParkedMessage

#: An upgrade's worth of messages, of each queue: who may write to one of them cannot fill the others' room.
#: Beyond it somebody is sending nonsense, and that is not kept whole.
MOST_PARKED = 10_000


def park(db: Session, task: str, queue: str, arguments: dict[str, Any], body_hash: str) -> bool:
    """Keep a message whole; False when its queue has no more room. The same message again is kept once."""
    same = (ParkedMessage.task == task, ParkedMessage.queue == queue, ParkedMessage.body_hash == body_hash)
    beside = select(func.count()).select_from(ParkedMessage).where(ParkedMessage.queue == queue)
    room = beside.scalar_subquery() < MOST_PARKED
    values = select(
        literal(task), literal(queue), literal(body_hash), literal(arguments, ParkedMessage.arguments.type)
    ).where(or_(room, exists().where(*same)))
    parking = insert(ParkedMessage).from_select(["task", "queue", "body_hash", "arguments"], values)
    # An update that changes nothing: its answer is right even when the one that is there goes meanwhile.
    kept = parking.on_conflict_do_update(
        index_elements=["task", "queue", "body_hash"], set_={"body_hash": parking.excluded.body_hash}
    )
    return db.execute(kept.returning(ParkedMessage.id)).one_or_none() is not None


def parked(db: Session, tasks: Iterable[str], limit: int) -> list[ParkedMessage]:
    """Parked messages for these tasks, oldest first."""
    known = select(ParkedMessage).where(ParkedMessage.task.in_(sorted(tasks)))
    return list(db.scalars(known.order_by(ParkedMessage.received_at, ParkedMessage.id).limit(limit)))


def unpark(db: Session, parked_id: UUID) -> None:
    """Forget a parked message: it was run, or buried."""
    db.execute(delete(ParkedMessage).where(ParkedMessage.id == parked_id))
