"""The sweep of the inbox: runs accepted messages again whose worker died before it answered."""

from __future__ import annotations

from pydantic import ValidationError

from booking_tasks.celery import app
from booking_tasks.contracts import PUBLIC, TASK_PREFIX
from booking_tasks.inbox import service, store
from booking_tasks.inbox.receiver import receive
from booking_tasks.inbox.store import UnfinishedMessage
from booking_tasks.kit.database import transaction
from booking_tasks.kit.logs import logger
from booking_tasks.kit.settings import settings
from booking_tasks.kit.shutdown import is_requested
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any

log = logger(__name__)

_ANY_UNFINISHED = query(__package__, "any_unfinished")


@app.task(name=TASK_PREFIX + "recover_inbox")
def recover_inbox() -> int:
    """Run messages again whose worker died before it answered, even when the broker has lost them."""
    if not finds_any(_ANY_UNFINISHED, age=settings().lease):
        return 0
    with transaction() as db:
        messages = store.unfinished_messages(db, settings().lease, limit=50)
    for message in messages:
        if is_requested():
            break
        try:
            _run_again(message)
        except Exception:  # its attempt was counted, and it must not delay those after it
            log.exception("message.failed_again", task=message.task)
    return len(messages)


def _run_again(message: UnfinishedMessage) -> None:
    try:
        command = PUBLIC[message.task].model_validate(message.body)
    except (KeyError, ValidationError):
        log.warning("message.not_understood", task=message.task, message=str(message.message_id))
        _count_unreadable(message)
    else:
        receive(command, message.entry_point, message.body_hash)  # type: ignore[arg-type]  # only commands are kept


def _count_unreadable(message: UnfinishedMessage) -> None:
    """Count an attempt at a message that a worker of another release accepted and this one cannot read.

    A worker of that release may still run it. After too many attempts it is dead with its content, and an
    operator can replay it.
    """
    max_attempts, body = settings().message_attempts, message.body or {}
    with transaction() as db:
        service.begin_attempt(
            db,
            message.message_id,
            message.task,
            message.entry_point,
            body,
            max_attempts,
            accepted_hash=message.body_hash,
        )
