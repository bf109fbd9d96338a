"""The inbox's queries. Times here are real database time: they drive recovery, not business."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.models import DeadLetter, InboxMessage

_REAL_TIME = func.clock_timestamp()


def count_attempt(
    db: Session, message_id: UUID, task: str, body_hash: str, door: str, body: dict[str, Any]
) -> InboxMessage:
    """Write the message down, or count one more attempt at it; returns the row, locked."""
    arriving = insert(InboxMessage).values(
        message_id=message_id, task=task, body_hash=body_hash, door=door, body=body, attempts=1
    )
    row = db.execute(
        arriving.on_conflict_do_update(
            index_elements=["message_id"],
            set_={"attempts": InboxMessage.attempts + 1, "attempted_at": _REAL_TIME},
            where=(InboxMessage.state == "received") & (InboxMessage.body_hash == body_hash),
        ).returning(InboxMessage)
    ).scalar_one_or_none()
    return row if row is not None else message(db, message_id)


def message(db: Session, message_id: UUID) -> InboxMessage:
    """The message's row, locked against anyone else who would run it."""
    return db.execute(
        select(InboxMessage)
        .where(InboxMessage.message_id == message_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one()


def finish(db: Session, message_id: UUID, state: str, outcome: dict[str, Any]) -> None:
    """Store the answer and forget the content."""
    db.execute(
        update(InboxMessage)
        .where(InboxMessage.message_id == message_id)
        .values(state=state, outcome=outcome, body=None, finished_at=_REAL_TIME)
    )


def abandoned(db: Session, older_than: timedelta, limit: int) -> list[UUID]:
    """Messages whose run ended without an answer, oldest first."""
    return list(
        db.execute(
            select(InboxMessage.message_id)
            .where(InboxMessage.state == "received", InboxMessage.attempted_at < _REAL_TIME - older_than)
            .order_by(InboxMessage.attempted_at)
            .limit(limit)
        ).scalars()
    )


def add_dead_letter(
    db: Session, task: str, door: str, reason: str, payload: Any, message_id: UUID | None
) -> None:
    """Keep a message that cannot be used: why, and its redacted shape."""
    db.add(
        DeadLetter(
            task=task[:200],
            door=door[:50],
            reason=reason[:2000],
            payload=payload if isinstance(payload, dict) else {"payload": payload},
            message_id=message_id,
        )
    )
