"""The life of an inbound message: its attempts, its one answer, and what an operator does with a dead one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import Outcome
from booking_tasks.enums import InboxState, RefusalCode
from booking_tasks.inbox import store
from booking_tasks.inbox.rules import DeadLetterFilter, body_hash
from booking_tasks.kit.redaction import redacted
from booking_tasks.models import DeadLetter
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.service import record_event


@dataclass(frozen=True)
class Answered:
    """The message has an answer already; nothing is run."""

    outcome: dict[str, Any]


@dataclass(frozen=True)
class Attempt:
    """The attempt is counted and the use case may run; the first attempt is number 1."""

    number: int


@dataclass(frozen=True)
class Running:
    """Another attempt at the message is running; nothing is counted."""


def begin_attempt(
    db: Session,
    message_id: UUID,
    task: str,
    entry_point: str,
    body: dict[str, Any],
    max_attempts: int,
    has_caller: bool = False,
    accepted_hash: str | None = None,
) -> Answered | Attempt | Running:
    """Count an attempt at a message. This transaction must commit before the use case runs.

    The same message id with other content is answered with `conflict`; a message with too many attempts is
    dead and becomes a dead letter. `has_caller`: somebody waits for the answer and sends the message again
    when none comes. `accepted_hash`: the hash that the content had when the message was accepted, for a
    message that is run again.
    """
    content_hash = accepted_hash or body_hash(task, body)
    row = store.count_attempt(db, message_id, task, content_hash, entry_point, body, has_caller)
    if row.body_hash != content_hash:
        return Answered(
            refusal(RefusalCode.CONFLICT, "this message_id was used with other content; use a new one")
        )
    if row.outcome is not None:
        return Answered(row.outcome)
    if row.is_running:
        return Running()
    if row.attempts > max_attempts:
        reason = f"gave up after {max_attempts} attempts, each of which ended its worker or failed"
        outcome = refusal(RefusalCode.DEAD, reason)
        store.finish_message(db, message_id, InboxState.DEAD, outcome)
        store.add_dead_letter(db, task, entry_point, reason, redacted(body), message_id)
        return Answered(outcome)
    return Attempt(row.attempts)


def stored_answer(db: Session, message_id: UUID) -> dict[str, Any] | None:
    """Lock a message for the transaction that runs it, and return its answer when it has one by now."""
    return store.lock_message(db, message_id)


def extend_attempt(db: Session, message_id: UUID) -> None:
    """Keep an attempt alive between two of its runs, so that no other one is counted."""
    store.extend_attempt(db, message_id)


def store_answer(db: Session, message_id: UUID, outcome: Outcome) -> dict[str, Any]:
    """Store the outcome in the use case's transaction; `try_later` leaves the message unanswered."""
    answer = outcome.model_dump(mode="json")
    if outcome.result != "try_later":
        store.finish_message(db, message_id, InboxState.DONE, answer)
    return answer


@dataclass(frozen=True)
class Replayed:
    """The messages that run again, and the dead letters without content, which their senders must repeat."""

    messages: list[UUID]
    without_content: list[UUID]


def dead_letters(db: Session, which: DeadLetterFilter, limit: int) -> list[DeadLetter]:
    """Return the selected dead letters, oldest first."""
    return store.dead_letters(db, which, limit)


def replay(db: Session, ctx: Context, which: DeadLetterFilter, reason: str, limit: int = 1000) -> Replayed:
    """Run dead messages again under their ids, and record who decided it and why.

    Only a message that was accepted and then failed too often can run again. Of a message that was refused
    on arrival, only the shape is kept.
    """
    replayed = Replayed([], [])
    for dead_letter in store.dead_letters(db, which, limit, for_update=True):
        if dead_letter.message_id is None or not store.reopen_message(db, dead_letter.message_id):
            replayed.without_content.append(dead_letter.id)
            continue
        _remove_with_event(db, ctx, EventType.MESSAGE_REPLAYED, dead_letter, reason)
        replayed.messages.append(dead_letter.message_id)
    return replayed


def discard(db: Session, ctx: Context, which: DeadLetterFilter, reason: str, limit: int = 1000) -> list[UUID]:
    """Delete dead letters with the content of their messages, and record who decided it and why."""
    selected = store.dead_letters(db, which, limit, for_update=True)
    for dead_letter in selected:
        if dead_letter.message_id is not None:
            store.delete_content(db, dead_letter.message_id)
        _remove_with_event(db, ctx, EventType.MESSAGE_DISCARDED, dead_letter, reason)
    return [dead_letter.id for dead_letter in selected]


def _remove_with_event(
    db: Session, ctx: Context, event_type: EventType, dead_letter: DeadLetter, reason: str
) -> None:
    request, session = store.subject_of(db, dead_letter)
    record_event(
        db,
        replace(ctx, message_id=dead_letter.message_id),
        event_type,
        request=request,
        session=session,
        before={
            "dead_letter_id": str(dead_letter.id),
            "task": dead_letter.task,
            "entry_point": dead_letter.entry_point,
            "error": dead_letter.reason,
        },
        reason=reason,
    )
    store.delete_dead_letter(db, dead_letter)


def refusal(code: RefusalCode, message: str) -> dict[str, Any]:
    """Return the outcome of a message that is refused before its use case, whatever its contract."""
    return Outcome(result="refused", code=code, message=message).model_dump(mode="json")
