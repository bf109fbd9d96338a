"""The sweep of the inbox: runs accepted messages again whose worker died before it answered."""

from __future__ import annotations

from pydantic import ValidationError

from booking_tasks.celery import app
from booking_tasks.contracts import PUBLIC, TASK_PREFIX
from booking_tasks.inbox import service, store
from booking_tasks.inbox.receiver import receive
from booking_tasks.inbox.store import Abandoned
from booking_tasks.kit.database import transaction, with_lock
from booking_tasks.kit.logs import logger
from booking_tasks.kit.settings import settings
from booking_tasks.kit.shutdown import is_requested

log = logger(__name__)


@app.task(name=TASK_PREFIX + "recover_inbox")
def recover_inbox() -> int:
    """Run messages again whose worker died before it answered, even when the broker forgot them."""
    with transaction() as db:
        messages = store.abandoned(db, settings().lease, limit=50)
    for message in messages:
        if is_requested():
            break
        try:
            _recover(message)
        except Exception:  # its try was counted; the messages behind it are not to wait for it
            log.exception("message.failed_again", task=message.task)
    return len(messages)


def _recover(message: Abandoned) -> None:
    try:
        command = PUBLIC[message.task].model_validate(message.body)
    except (KeyError, ValidationError):
        # A worker of another release accepted it. Counted, so that one of that release may come first;
        # in the end it is dead with its content, for an operator to replay.
        log.warning("message.not_understood", task=message.task, message=str(message.message_id))
        most, body = settings().message_attempts, message.body or {}
        with with_lock(
            f"message:{message.message_id}",
            lambda db: service.arrive(
                db,
                message.message_id,
                message.task,
                message.door,
                body,
                most,
                fingerprint=message.body_hash,
            ),
        ):
            return
    receive(command, message.door, message.body_hash)  # type: ignore[arg-type]  # the inbox has only commands
