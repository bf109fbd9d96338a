"""Parked messages: what this release does not know, kept whole until one does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.models import ParkedMessage

#: An upgrade's worth of messages. Beyond it somebody is sending nonsense, and that is not kept whole.
MOST_PARKED = 10_000


def park(db: Session, task: str, queue: str, arguments: dict[str, Any], body_hash: str) -> bool:
    """Keep a message whole; False when there is no more room. The same message again is kept once."""
    values = select(
        literal(task), literal(queue), literal(body_hash), literal(arguments, ParkedMessage.arguments.type)
    ).where(select(func.count()).select_from(ParkedMessage).scalar_subquery() < MOST_PARKED)
    parking = insert(ParkedMessage).from_select(["task", "queue", "body_hash", "arguments"], values)
    db.execute(parking.on_conflict_do_nothing(index_elements=["task", "queue", "body_hash"]))
    same = (ParkedMessage.task == task, ParkedMessage.queue == queue, ParkedMessage.body_hash == body_hash)
    return bool(db.scalar(select(exists().where(*same))))


def parked(db: Session, tasks: Iterable[str], limit: int) -> list[ParkedMessage]:
    """Parked messages for these tasks, oldest first."""
    known = select(ParkedMessage).where(ParkedMessage.task.in_(sorted(tasks)))
    return list(db.scalars(known.order_by(ParkedMessage.received_at, ParkedMessage.id).limit(limit)))


def unpark(db: Session, parked_id: UUID) -> None:
    """Forget a parked message: it was run, or buried."""
    db.execute(delete(ParkedMessage).where(ParkedMessage.id == parked_id))
