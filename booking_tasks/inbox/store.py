"""The queries of the inbox. Its times are the database's real time, because they drive recovery."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    String,
    bindparam,
    func,
    literal,
    null,
    or_,
    select,
    text,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.enums import InboxState, Party
from booking_tasks.inbox.rules import DeadLetterFilter
from booking_tasks.kit.errors import BookingTasksError
from booking_tasks.models import (
    Consultant,
    ConsultationRequest,
    DeadLetter,
    DirectoryUser,
    InboxMessage,
    ScheduledSession,
)
from booking_tasks.sql import query

_REAL_TIME = func.clock_timestamp()
#: The transaction that runs a message starts within this time after its attempt was counted. Until then the
#: message counts as running, although nothing locks its row.
START_WITHIN = timedelta(seconds=1)

RowT = TypeVar("RowT", ConsultationRequest, ScheduledSession)


class MessageLostError(BookingTasksError):
    """The row of a message is gone before the message was answered."""


class MessageRow(NamedTuple):
    """The row of a message after an attempt was counted, or as it is while another attempt is running."""

    body_hash: str
    outcome: dict[str, Any] | None
    attempts: int
    is_running: bool


class UnfinishedMessage(NamedTuple):
    """An accepted message whose run ended without an answer."""

    message_id: UUID
    task: str
    entry_point: str
    body: dict[str, Any] | None
    body_hash: str


# These run for every message. As text they are not compiled anew each time.
_INSERTED = query(__package__, "insert_message").bindparams(
    bindparam("message_id", type_=PG_UUID(as_uuid=True)), bindparam("body", type_=JSONB)
)
_COUNTED = query(__package__, "count_attempt").bindparams(
    bindparam("message_id", type_=PG_UUID(as_uuid=True)), bindparam("start_within", START_WITHIN)
)
_LOCKED = text("SELECT outcome FROM inbox WHERE message_id = :message_id FOR NO KEY UPDATE")
_EXTENDED = text(
    "UPDATE inbox SET attempted_at = clock_timestamp() WHERE message_id ="
    " (SELECT message_id FROM inbox WHERE message_id = :message_id FOR NO KEY UPDATE SKIP LOCKED)"
)
_FINISHED = query(__package__, "finish").bindparams(
    bindparam("state", type_=String),
    bindparam("message_id", type_=PG_UUID(as_uuid=True)),
    bindparam("outcome", type_=JSONB),
)


def count_attempt(
    db: Session,
    message_id: UUID,
    task: str,
    body_hash: str,
    entry_point: str,
    body: dict[str, Any],
    has_caller: bool,
) -> MessageRow:
    """Insert the message, or count one more attempt at it, unless an attempt is running. Waits for nobody.

    When a caller waits for the answer, the commit of the first attempt does not wait for the disk; the commit
    of the answer includes it. A crash of the database between the two loses the message and its attempt, and
    the caller sends it again.

    The row of an answered message is locked, which is written, so that this commit waits for a synchronous
    standby: an answer that only the primary has is not returned (docs/decisions/0033-failover.md).
    """
    values = {
        "message_id": message_id,
        "task": task,
        "body_hash": body_hash,
        "entry_point": entry_point,
        "body": body,
        "has_caller": has_caller,
    }
    row = db.execute(_INSERTED, values).one_or_none()
    found = row or db.execute(_COUNTED, {"message_id": message_id, "body_hash": body_hash}).one()
    if found.outcome is not None:
        db.execute(_LOCKED, {"message_id": message_id})
    return MessageRow(found.body_hash, found.outcome, found.attempts, found.is_running)


def lock_message(db: Session, message_id: UUID) -> dict[str, Any] | None:
    """Lock the row of a message until the end of the transaction that runs it; returns a stored answer.

    Raises MessageLostError when the database has crashed since it counted the attempt, and lost the row.
    """
    row = db.execute(_LOCKED, {"message_id": message_id}).one_or_none()
    if row is None:
        raise MessageLostError("the database has lost the message; send it again")
    outcome: dict[str, Any] | None = row.outcome
    return outcome


def extend_attempt(db: Session, message_id: UUID) -> None:
    """Let an attempt start its next run within START_WITHIN from now."""
    db.execute(_EXTENDED, {"message_id": message_id})


def finish_message(db: Session, message_id: UUID, state: InboxState, outcome: dict[str, Any]) -> None:
    """Store the answer and remove the content, except that of a dead message, which may run again.

    For a message that changed nothing there is no event, so the ids of its request and session stay here for
    the timeline.
    """
    without_event = state == InboxState.DONE and outcome["result"] != "done"
    values = {"message_id": message_id, "state": state, "outcome": outcome, "without_event": without_event}
    db.execute(_FINISHED, values)


def unfinished_messages(db: Session, older_than: timedelta, limit: int) -> list[UnfinishedMessage]:
    """Return messages whose last attempt is older than this and has no answer, oldest first."""
    rows = db.execute(
        select(
            InboxMessage.message_id,
            InboxMessage.task,
            InboxMessage.entry_point,
            InboxMessage.body,
            InboxMessage.body_hash,
        )
        .where(InboxMessage.state == InboxState.RECEIVED, InboxMessage.attempted_at < _REAL_TIME - older_than)
        .order_by(InboxMessage.attempted_at)
        .limit(limit)
    )
    return [UnfinishedMessage(*row) for row in rows]


def add_dead_letter(
    db: Session, task: str, entry_point: str, reason: str, payload: Any, message_id: UUID | None
) -> None:
    """Insert a dead letter: the reason and the redacted shape of a message that cannot be used."""
    db.add(
        DeadLetter(
            task=task[:200],
            entry_point=_storable(entry_point)[:50],
            reason=_storable(reason)[:2000],
            payload=payload if isinstance(payload, dict) else {"payload": payload},
            message_id=message_id,
        )
    )


def dead_letters(
    db: Session, which: DeadLetterFilter, limit: int, *, for_update: bool = False
) -> list[DeadLetter]:
    """Return the selected dead letters, oldest first. `for_update` locks them and skips locked ones."""
    found = select(DeadLetter).where(*_conditions(which)).order_by(DeadLetter.received_at).limit(limit)
    if for_update:
        found = found.with_for_update(skip_locked=True)
    return list(db.execute(found).scalars())


def _conditions(which: DeadLetterFilter) -> Iterator[ColumnElement[bool]]:
    if which.dead_letter_id is not None:
        yield DeadLetter.id == which.dead_letter_id
    if which.task is not None:
        yield DeadLetter.task.in_((which.task, TASK_PREFIX + which.task))
    if which.entry_point is not None:
        yield DeadLetter.entry_point == which.entry_point
    if which.since is not None:
        yield DeadLetter.received_at >= which.since
    if which.about is not None:
        named = str(which.about)
        # The guard's dead letters of refused and of parked messages contain the command at a deeper level.
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


def reopen_message(db: Session, message_id: UUID) -> bool:
    """Let the next sweep run a dead message again. Returns False when its content is not there."""
    reopened = db.execute(
        update(InboxMessage)
        .where(
            InboxMessage.message_id == message_id,
            InboxMessage.state == InboxState.DEAD,
            InboxMessage.body.is_not(None),
        )
        .values(
            state=InboxState.RECEIVED,
            outcome=null(),
            finished_at=None,
            attempts=0,
            attempted_at=_REAL_TIME - timedelta(days=1),
        )
        .returning(InboxMessage.message_id)
    )
    return reopened.first() is not None


def delete_content(db: Session, message_id: UUID) -> None:
    """Remove the content of a dead message; its answer stays."""
    db.execute(
        update(InboxMessage)
        .where(InboxMessage.message_id == message_id, InboxMessage.state == InboxState.DEAD)
        .values(body=null())
    )


def delete_dead_letter(db: Session, dead_letter: DeadLetter) -> None:
    """Delete a dead letter; the event of the caller records who decided it."""
    db.delete(dead_letter)
    db.flush()


def subject_of(
    db: Session, dead_letter: DeadLetter
) -> tuple[ConsultationRequest | None, ScheduledSession | None]:
    """Return the request or the session that a dead letter names, when it exists."""
    session = _row_or_none(db, ScheduledSession, dead_letter.payload.get("session_id"))
    if session is not None:
        return None, session
    return _row_or_none(db, ConsultationRequest, dead_letter.payload.get("request_id")), None


def _row_or_none(db: Session, model: type[RowT], id_: Any) -> RowT | None:
    try:
        return db.get(model, UUID(str(id_)))
    except ValueError:
        return None


def _storable(text: str) -> str:
    """Remove what PostgreSQL cannot store: the NUL character and halves of surrogate pairs."""
    return text.replace("\0", "").encode(errors="replace").decode()


def people_of(
    db: Session, requests: Collection[UUID], sessions: Collection[UUID], consultants: Collection[UUID] = ()
) -> dict[tuple[Party, UUID], str | None]:
    """Return the people of booked requests and of sessions, with the address of those in the directory.

    `consultants` are some more, who are not those of the requests and sessions yet.
    """
    request, session, profile = ConsultationRequest, ScheduledSession, Consultant
    sides = union(
        *(
            select(literal(party).label("party"), person.label("user_id")).where(id_.in_(ids))
            for id_, ids, party, person in (
                (request.id, requests, Party.REQUESTER, request.requester_user_id),
                (request.id, requests, Party.CONSULTANT, request.assigned_consultant_user_id),
                (session.id, sessions, Party.REQUESTER, session.requester_user_id),
                (session.id, sessions, Party.CONSULTANT, session.consultant_user_id),
                (profile.consultant_user_id, consultants, Party.CONSULTANT, profile.consultant_user_id),
            )
            if ids
        )
    ).subquery()
    rows = db.execute(
        select(sides.c.party, sides.c.user_id, DirectoryUser.email)
        .outerjoin(DirectoryUser, DirectoryUser.user_id == sides.c.user_id)
        .where(sides.c.user_id.is_not(None))
        .order_by(sides.c.party.desc(), sides.c.user_id)
    )
    return {(Party(party), user_id): email for party, user_id, email in rows}
