"""The guard at the worker's door: no message can stop a worker.

Celery's default strategy trusts the envelope: without an `id`, with a body that is not a triple or
with a broken `timelimit`, the worker's main process ends or stops listening. This strategy checks
first; what does not pass becomes a dead letter and is acknowledged.
"""

from __future__ import annotations

from typing import Any

from celery.worker.strategy import default

from booking_tasks.logs import logger

log = logger(__name__)

#: Headers that would make the worker do more than run this one task, or do it at another time.
_UNWANTED_HEADERS = ("eta", "group", "chord")
_UNWANTED_EMBED = ("callbacks", "errbacks", "chain", "chord")
MAX_BODY_BYTES = 64 * 1024


def strategy(task: Any, app: Any, consumer: Any, **options: Any) -> Any:
    """Celery's strategy for a task (celery.worker.strategy), behind the checks of `fault_of`."""
    handle = default(task, app, consumer, **options)

    def guarded(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **kwargs: Any) -> Any:
        fault = fault_of(message)
        if fault is None:
            try:
                return handle(message, body, ack, reject, callbacks, **kwargs)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                fault = f"the worker could not read the envelope: {type(error).__name__}"
        _bury(task.name, message, fault)
        return ack(log, consumer.connection_errors)

    return guarded


def fault_of(message: Any) -> str | None:
    """Why a message must not reach Celery's own handler, or None."""
    return _header_fault(message.headers) or _body_fault(message)


def _header_fault(headers: Any) -> str | None:
    if not isinstance(headers, dict) or not isinstance(headers.get("id"), str) or not headers["id"]:
        return "headers.id is missing: send a fresh uuid"
    if not _is_time_limit(headers.get("timelimit")):
        return "headers.timelimit must be [hard, soft] in seconds, or be left out"
    for name in _UNWANTED_HEADERS:
        if headers.get(name):
            return f"headers.{name} is not accepted: this service keeps its own times and order"
    return None


def _is_time_limit(limits: Any) -> bool:
    if limits is None:
        return True
    return (
        isinstance(limits, list)
        and len(limits) == 2
        and all(one is None or (isinstance(one, (int, float)) and one > 0) for one in limits)
    )


def _body_fault(message: Any) -> str | None:
    if len(message.body or b"") > MAX_BODY_BYTES:
        return f"the body is larger than {MAX_BODY_BYTES} bytes"
    try:
        payload = message.payload
    except Exception as error:  # noqa: BLE001 - any decoder's error means the same: not JSON
        return f"the body cannot be decoded as JSON: {type(error).__name__}"
    if not isinstance(payload, (list, tuple)) or len(payload) != 3:
        return "the body must be a list of three: [args, kwargs, embed]"
    args, kwargs, embed = payload
    if not isinstance(args, list) or not isinstance(kwargs, dict) or not isinstance(embed, dict | None):
        return "the body must be [list, object, object]"
    for name in _UNWANTED_EMBED:
        if embed and embed.get(name):
            return f"{name} are not accepted: this service decides what follows"
    return None


def _bury(task_name: str, message: Any, fault: str) -> None:
    """Keep the message's shape in the dead letters; a database that is away leaves only the log line."""
    from booking_tasks.database import transaction  # noqa: PLC0415 - only where a fault is met
    from booking_tasks.inbox.store import add_dead_letter  # noqa: PLC0415

    log.error("message.dead", task=task_name, reason=fault)
    try:
        with transaction() as db:
            add_dead_letter(db, task_name, "broker", fault, {"bytes": len(message.body or b"")}, None)
    except Exception:
        log.exception("message.dead_letter_lost", task=task_name)
