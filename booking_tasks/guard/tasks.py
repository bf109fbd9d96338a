"""The guard's tasks: they keep messages that are refused or unknown, and run parked messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.enums import RefusalCode
from booking_tasks.guard import store
from booking_tasks.guard.entry_points import entry_points_of
from booking_tasks.guard.rules import DEAD_LETTER, PARK, EntryPoint, message_id_of, mismatch_of
from booking_tasks.inbox.receiver import retry_while_unavailable
from booking_tasks.inbox.rules import body_hash
from booking_tasks.inbox.service import refusal
from booking_tasks.inbox.store import add_dead_letter
from booking_tasks.kit.database import transaction
from booking_tasks.kit.logs import logger
from booking_tasks.kit.redaction import redacted
from booking_tasks.kit.shutdown import is_requested
from booking_tasks.models import ParkedMessage
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any

log = logger(__name__)

_BATCH = 50
_ANY_PARKED = query(__package__, "any_parked")
_PARKED = (
    "no such task in this release: the message is kept, and a release that has the task runs it;"
    " send the same message again then for its outcome"
)

WrittenT = TypeVar("WrittenT")


@app.task(name=DEAD_LETTER)
def dead_letter_message(
    task: str, reason: str, message_id: str | None, payload: dict[str, Any], queue: str
) -> dict[str, Any]:
    """Keep the shape of a refused message as a dead letter; returns the refusal for a sender that waits."""
    log.error("message.dead", task=task, queue=queue, reason=reason)
    id_ = UUID(message_id) if message_id else None
    _write_when_available(lambda db: add_dead_letter(db, task, queue, reason, payload, id_))
    return refusal(RefusalCode.INVALID, reason)


@app.task(name=PARK)
def park_message(task: str, queue: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Keep a message whole for a later release that has its task; beyond the limit it is a dead letter.

    Returns the refusal for a sender that waits.
    """
    log.warning("message.parked", task=task, queue=queue)

    def park(db: Session) -> dict[str, Any]:
        if store.park(db, task, queue, arguments, body_hash(task, arguments)):
            return refusal(RefusalCode.PARKED, _PARKED)
        reason = f"no such task in this release, and {store.MAX_PARKED} messages are parked already"
        _dead_letter(db, task, queue, reason, arguments)
        return refusal(RefusalCode.INVALID, reason)

    return _write_when_available(park)


def _write_when_available(write: Callable[[Session], WrittenT]) -> WrittenT:
    def write_once() -> WrittenT:
        with transaction() as db:
            return write(db)

    return retry_while_unavailable(write_once)


@app.task(name=TASK_PREFIX + "run_parked")
def run_parked() -> int:
    """Run messages that another release parked and whose task this one has; returns how many were read."""
    if not finds_any(_ANY_PARKED):
        return 0
    entry_points = entry_points_of(app)
    with transaction() as db:
        messages = store.parked(db, entry_points, _BATCH)
    for message in messages:
        if is_requested():
            break
        try:
            _run(message, entry_points[message.task])
        except Exception:  # the message stays parked and must not delay those after it
            log.exception("message.failed_again", task=message.task)
    return len(messages)


def _run(message: ParkedMessage, entry_point: EntryPoint) -> None:
    """Run a parked message in this process; sent through the broker it could be lost before the inbox."""
    mismatch = mismatch_of(entry_point, message.queue, message.arguments)
    if mismatch is None:
        app.tasks[message.task](**message.arguments)
    with transaction() as db:
        if mismatch is not None:
            _dead_letter(db, message.task, message.queue, mismatch, message.arguments)
        store.unpark(db, message.id)


def _dead_letter(db: Session, task: str, queue: str, reason: str, arguments: dict[str, Any]) -> None:
    message_id = message_id_of(arguments)
    add_dead_letter(db, task, queue, reason, redacted(arguments), UUID(message_id) if message_id else None)
