"""Receiving a message: who may run it, what it is answered with, and what becomes of the dead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import Outcome
from booking_tasks.inbox import store
from booking_tasks.inbox.rules import WantedLetters, body_hash
from booking_tasks.kit.redaction import redacted
from booking_tasks.models import DeadLetter
from booking_tasks.outbox import service as history
from booking_tasks.outbox.event_types import EventType


@dataclass(frozen=True)
class Answered:
    """The message has its answer; nothing is run."""

    outcome: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """The message is counted and may run."""

    attempt: int


def arrive(
    db: Session,
    message_id: UUID,
    task: str,
    door: str,
    body: dict[str, Any],
    most_attempts: int,
    awaited: bool = False,
    fingerprint: str | None = None,
) -> Answered | Run:
    """Count an attempt at a message. Its transaction must commit before the body runs.

    `awaited`: whoever sent it sends again when no answer comes. Same id, other content: `conflict`. Too many
    attempts: dead, with a dead letter. `fingerprint` is what an accepted message's content had when it came.
    """
    fingerprint = fingerprint or body_hash(task, body)
    row = store.count_attempt(db, message_id, task, fingerprint, door, body, awaited)
    if row.body_hash != fingerprint:
        return Answered(_refusal("conflict", "this message_id was used with other content; use a new one"))
    if row.outcome is not None:
        return Answered(row.outcome)
    if row.attempts > most_attempts:
        reason = f"gave up after {most_attempts} attempts, each of which ended its worker or failed"
        outcome = _refusal("dead", reason)
        store.finish(db, message_id, "dead", outcome)
        store.add_dead_letter(db, task, door, reason, redacted(body), message_id)
        return Answered(outcome)
    return Run(row.attempts)


def answer(db: Session, message_id: UUID, outcome: Outcome) -> dict[str, Any]:
    """Store the outcome in the body's own transaction. `try_later` leaves the message unanswered."""
    dumped = outcome.model_dump(mode="json")
    if outcome.result != "try_later":
        store.finish(db, message_id, "done", dumped)
    return dumped


@dataclass(frozen=True)
class Replayed:
    """Messages that run again, and letters whose content is not there: their senders must send anew."""

    messages: list[UUID]
    without_content: list[UUID]


def letters(db: Session, which: WantedLetters, limit: int) -> list[DeadLetter]:
    """The dead letters that an operator means, oldest first."""
    return store.letters(db, which, limit)


def replay(db: Session, ctx: Context, which: WantedLetters, reason: str, limit: int = 1000) -> Replayed:
    """Run dead messages again under their ids, and write down who wanted it and why.

    Only what was accepted and then failed too often can run again: of what was refused at the door
    nothing is kept but its shape.
    """
    done = Replayed([], [])
    for letter in store.letters(db, which, limit, to_decide=True):
        if letter.message_id is None or not store.revive(db, letter.message_id):
            done.without_content.append(letter.id)
            continue
        _write_down(db, ctx, EventType.MESSAGE_REPLAYED, letter, reason)
        done.messages.append(letter.message_id)
    return done


def discard(db: Session, ctx: Context, which: WantedLetters, reason: str, limit: int = 1000) -> list[UUID]:
    """Take dead letters away with the content of their messages; who and why is written down."""
    chosen = store.letters(db, which, limit, to_decide=True)
    for letter in chosen:
        if letter.message_id is not None:
            store.forget(db, letter.message_id)
        _write_down(db, ctx, EventType.MESSAGE_DISCARDED, letter, reason)
    return [letter.id for letter in chosen]


def _write_down(db: Session, ctx: Context, type_: EventType, letter: DeadLetter, reason: str) -> None:
    request, session = store.subject(db, letter)
    before = {
        "letter": str(letter.id),
        "task": letter.task,
        "door": letter.entry_point,
        "error": letter.reason,
    }
    history.record_event(
        db,
        replace(ctx, message_id=letter.message_id),
        type_,
        request=request,
        session=session,
        before=before,
        reason=reason,
    )
    store.remove_letter(db, letter)


def _refusal(code: str, message: str) -> dict[str, Any]:
    return Outcome(result="refused", code=code, message=message).model_dump(mode="json")
