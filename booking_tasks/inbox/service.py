"""Receiving a message: who may run it, and what it is answered with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.contracts import Outcome
from booking_tasks.inbox import store
from booking_tasks.inbox.rules import body_hash
from booking_tasks.redaction import redacted


@dataclass(frozen=True)
class Answered:
    """The message has its answer; nothing is run."""

    outcome: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """The message is counted and may run."""

    attempt: int


def arrive(
    db: Session, message_id: UUID, task: str, door: str, body: dict[str, Any], most_attempts: int
) -> Answered | Run:
    """Count an attempt at a message. Its transaction must commit before the body runs.

    Same id, other content: `conflict`. Too many attempts: dead, with a dead letter.
    """
    fingerprint = body_hash(task, body)
    row = store.count_attempt(db, message_id, task, fingerprint, door, body)
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


def _refusal(code: str, message: str) -> dict[str, Any]:
    return Outcome(result="refused", code=code, message=message).model_dump(mode="json")
