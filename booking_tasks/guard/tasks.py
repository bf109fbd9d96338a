"""What becomes of messages that no task of this release takes, and of those an older release parked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.guard import store
from booking_tasks.guard.doors import doors_of
from booking_tasks.guard.rules import BURY, PARK, Door, message_id_of, misfit_of
from booking_tasks.inbox.receiver import once_there
from booking_tasks.inbox.rules import body_hash
from booking_tasks.inbox.store import add_dead_letter
from booking_tasks.kit.database import transaction
from booking_tasks.kit.logs import logger
from booking_tasks.kit.redaction import redacted
from booking_tasks.kit.shutdown import is_requested
from booking_tasks.models import ParkedMessage

log = logger(__name__)

_BATCH = 50


@app.task(name=BURY)
def bury_message(task: str, reason: str, message_id: str | None, payload: dict[str, Any], queue: str) -> None:
    """Keep why a message was refused, and its shape."""
    log.error("message.dead", task=task, queue=queue, reason=reason)
    named = UUID(message_id) if message_id else None
    _kept(lambda db: add_dead_letter(db, task, queue, reason, payload, named))


@app.task(name=PARK)
def park_message(task: str, queue: str, arguments: dict[str, Any]) -> None:
    """Keep a message that a later release may know, whole; when too many wait already, bury it."""
    log.warning("message.parked", task=task, queue=queue)

    def park(db: Session) -> None:
        if not store.park(db, task, queue, arguments, body_hash(task, arguments)):
            reason = f"no such task in this release, and {store.MOST_PARKED} messages are parked already"
            _bury(db, task, queue, reason, arguments)

    _kept(park)


def _kept(write: Callable[[Session], None]) -> None:
    def once() -> None:
        with transaction() as db:
            write(db)

    once_there(once)


@app.task(name=TASK_PREFIX + "run_parked")
def run_parked() -> int:
    """Run what another release parked and this one knows; returns how many messages were looked at."""
    doors = doors_of(app)
    with transaction() as db:
        found = store.parked(db, doors, _BATCH)
    for message in found:
        if is_requested():
            break
        try:
            _run(message, doors[message.task])
        except Exception:  # it stays parked; the messages behind it are not to wait for it
            log.exception("message.failed_again", task=message.task)
    return len(found)


def _run(message: ParkedMessage, door: Door) -> None:
    """Run it here, not through the broker: from this row to the inbox nothing can lose it."""
    misfit = misfit_of(door, message.queue, message.arguments)
    if misfit is None:
        app.tasks[message.task](**message.arguments)
    with transaction() as db:
        if misfit is not None:
            _bury(db, message.task, message.queue, misfit, message.arguments)
        store.unpark(db, message.id)


def _bury(db: Session, task: str, queue: str, reason: str, arguments: dict[str, Any]) -> None:
    message_id = message_id_of(arguments)
    add_dead_letter(db, task, queue, reason, redacted(arguments), UUID(message_id) if message_id else None)
