"""The inbox's queries. Times here are real database time: they drive recovery, not business."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, String, bindparam, func, null, or_, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.inbox.rules import WantedLetters
from booking_tasks.models import ConsultationRequest, DeadLetter, InboxMessage, ScheduledSession
from booking_tasks.sql import query

_REAL_TIME = func.clock_timestamp()

RowT = TypeVar("RowT", ConsultationRequest, ScheduledSession)


class Arrival(NamedTuple):
    """What the row of a message says when the message comes."""

    body_hash: str
    outcome: dict[str, Any] | None
    attempts: int


class Abandoned(NamedTuple):
    """A message as it was accepted."""

    message_id: UUID
    task: str
    door: str
    body: dict[str, Any] | None
    body_hash: str


# As text, not built anew: they stand in the way of every single message.
_COUNTED = query(__package__, "count_attempt").bindparams(
    bindparam("message_id", type_=PG_UUID(as_uuid=True)), bindparam("body", type_=JSONB)
)
_LOCKED = text("SELECT body_hash, outcome, attempts FROM inbox WHERE message_id = :message_id FOR UPDATE")
_FINISHED = query(__package__, "finish").bindparams(
    bindparam("state", type_=String),
    bindparam("message_id", type_=PG_UUID(as_uuid=True)),
    bindparam("outcome", type_=JSONB),
)


def count_attempt(
    db: Session, message_id: UUID, task: str, body_hash: str, door: str, body: dict[str, Any], awaited: bool
) -> Arrival:
    """Write the message down, or count one more attempt at it. Locks its row.

    Where somebody waits for the answer, the first commit does not wait for the disk; the answer's takes it
    along. A crash of the database in between loses the message with its attempt, and who waits sends again.
    """
    arriving = {
        "message_id": message_id,
        "task": task,
        "body_hash": body_hash,
        "entry_point": door,
        "body": body,
        "awaited": awaited,
    }
    row = db.execute(_COUNTED, arriving).one_or_none()
    found = row or db.execute(_LOCKED, {"message_id": message_id}).one()
    return Arrival(found.body_hash, found.outcome, found.attempts)


def finish(db: Session, message_id: UUID, state: str, outcome: dict[str, Any]) -> None:
    """Store the answer. The content is forgotten, unless the message is dead: it may be run again.

    Of one that changed nothing, no event tells what it was about: the ids of that stay, for the story.
    """
    without_event = state == "done" and outcome["result"] != "done"
    finished = {"message_id": message_id, "state": state, "outcome": outcome, "without_event": without_event}
    db.execute(_FINISHED, finished)


def abandoned(db: Session, older_than: timedelta, limit: int) -> list[Abandoned]:
    """Messages whose run ended without an answer, oldest first."""
    rows = db.execute(
        select(
            InboxMessage.message_id,
            InboxMessage.task,
            InboxMessage.entry_point,
            InboxMessage.body,
            InboxMessage.body_hash,
        )
        .where(InboxMessage.state == "received", InboxMessage.attempted_at < _REAL_TIME - older_than)
        .order_by(InboxMessage.attempted_at)
        .limit(limit)
    )
    return [Abandoned(*row) for row in rows]


def add_dead_letter(
    db: Session, task: str, door: str, reason: str, payload: Any, message_id: UUID | None
) -> None:
    """Keep a message that cannot be used: why, and its redacted shape."""
    db.add(
        DeadLetter(
            task=task[:200],
            entry_point=_storable(door)[:50],
            reason=_storable(reason)[:2000],
            payload=payload if isinstance(payload, dict) else {"payload": payload},
            message_id=message_id,
        )
    )


def letters(db: Session, which: WantedLetters, limit: int, *, to_decide: bool = False) -> list[DeadLetter]:
    """The dead letters that an operator means, oldest first; locked when somebody is to decide."""
    found = select(DeadLetter).where(*_matching(which)).order_by(DeadLetter.received_at).limit(limit)
    if to_decide:
        found = found.with_for_update(skip_locked=True)
    return list(db.execute(found).scalars())


def _matching(which: WantedLetters) -> Iterator[ColumnElement[bool]]:
    if which.letter_id is not None:
        yield DeadLetter.id == which.letter_id
    if which.task is not None:
        yield DeadLetter.task.in_((which.task, TASK_PREFIX + which.task))
    if which.door is not None:
        yield DeadLetter.entry_point == which.door
    if which.since is not None:
        yield DeadLetter.received_at >= which.since
    if which.about is not None:
        named = str(which.about)
        # What the guard refused or could not park has the command further in than what it let through.
        command, parked = DeadLetter.payload, DeadLetter.payload["request"]
        refused = DeadLetter.payload["arguments"]["request"]
        yield or_(
            DeadLetter.message_id == which.about,
            *(
                where[name].astext == named
                for where in (command, parked, refused)
                for name in ("request_id", "session_id")
            ),
        )


def revive(db: Session, message_id: UUID) -> bool:
    """Let the sweep run a dead message again at its next tick; False when its content is not there."""
    revived = db.execute(
        update(InboxMessage)
        .where(
            InboxMessage.message_id == message_id,
            InboxMessage.state == "dead",
            InboxMessage.body.is_not(None),
        )
        .values(
            state="received",
            outcome=null(),
            finished_at=None,
            attempts=0,
            attempted_at=_REAL_TIME - timedelta(days=1),
        )
        .returning(InboxMessage.message_id)
    )
    return revived.first() is not None


def forget(db: Session, message_id: UUID) -> None:
    """Drop the content of a dead message; its answer stays."""
    db.execute(
        update(InboxMessage)
        .where(InboxMessage.message_id == message_id, InboxMessage.state == "dead")
        .values(body=null())
    )


def remove_letter(db: Session, letter: DeadLetter) -> None:
    """Take a dead letter away; the history says who did."""
    db.delete(letter)
    db.flush()


def subject(db: Session, letter: DeadLetter) -> tuple[ConsultationRequest | None, ScheduledSession | None]:
    """The request or the session that a letter names, as far as there is one."""
    session = _named(db, ScheduledSession, letter.payload.get("session_id"))
    return (
        (None, session)
        if session
        else (_named(db, ConsultationRequest, letter.payload.get("request_id")), None)
    )


def _named(db: Session, model: type[RowT], id_: Any) -> RowT | None:
    try:
        return db.get(model, UUID(str(id_)))
    except ValueError:
        return None


def _storable(text: str) -> str:
    """Without the one character that PostgreSQL cannot store, and without halves of characters."""
    return text.replace("\0", "").encode(errors="replace").decode()
