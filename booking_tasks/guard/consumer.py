"""The worker's consumer: every message is judged before Celery reads anything of it.

What is refused or unknown goes on as a call of one of the guard's own tasks, so that a worker's main
process never waits for the database, and a bad message costs what a good one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from celery.worker.consumer import Consumer

from booking_tasks.guard.channel import Channel
from booking_tasks.guard.doors import doors_of
from booking_tasks.guard.rules import (
    Admitted,
    Door,
    Received,
    Refused,
    body_of,
    call_for,
    headers_of,
    judge,
)
from booking_tasks.kit.logs import logger

log = logger(__name__)


class GuardedConsumer(Consumer):
    """Celery's consumer (setting `worker_consumer`) behind the guard."""

    def __init__(self, *args: Any, worker_options: dict[str, Any] | None = None, **kwargs: Any) -> None:
        # Gossip and mingle read what other workers, or whoever can publish, say about themselves.
        quiet = {**(worker_options or {}), "without_gossip": True, "without_mingle": True}
        super().__init__(*args, worker_options=quiet, **kwargs)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Any:
        """The function that every message is given to."""
        handle = super().create_task_handler(*args, **kwargs)
        doors = doors_of(self.app)

        def receive(message: Any) -> Any:
            queue = self._queue_of(message)
            become_call(message, queue, doors)
            return handle(message)

        self._receive = receive
        return receive

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """A message that kombu could not open, such as one with broken compression."""
        message.headers = {"fault": {"reason": f"the message cannot be opened ({type(exc).__name__})"}}
        message.opened = False
        self._receive(message)

    def _queue_of(self, message: Any) -> str:
        """The queue a message was taken from: RabbitMQ names the consumer, our Redis channel the queue."""
        tag = message.delivery_info.get("consumer_tag")
        tags = self.task_consumer._active_tags if tag is not None else {}
        by_tag = {one: queue for queue, one in tags.items()}
        return str(by_tag.get(tag, message.delivery_info.get("routing_key", "")))


def become_call(message: Any, queue: str, doors: Mapping[str, Door]) -> None:
    """Make a message the one call that is made in its place. Never raises, whatever the message holds."""
    fresh_id = str(uuid4())
    try:
        _become(message, call_for(judge(_received(message, queue), doors), queue, fresh_id))
    except Exception as error:  # raised here it ends the worker, and the message comes again
        log.exception("message.not_judged", queue=queue)
        refused = Refused("unknown", f"the message cannot be judged ({type(error).__name__})", None, {})
        _become(message, call_for(refused, queue, fresh_id))


def _received(message: Any, queue: str) -> Received:
    headers = message.headers
    if not _is_from_here(message) and isinstance(headers, dict):
        headers = {name: value for name, value in headers.items() if name != "fault"}
    return Received(headers, message.body, message.content_type, message.content_encoding, queue)


def _is_from_here(message: Any) -> bool:
    """Whether `fault` is this worker's own word: RabbitMQ hands over what headers a sender wrote."""
    return isinstance(message.channel, Channel) or getattr(message, "opened", True) is False


def _become(message: Any, call: Admitted) -> None:
    """Make the message that call, and nothing but it."""
    message.headers, message.body = headers_of(call), body_of(call)
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message.properties = {"correlation_id": call.id}
    message._decoded_cache = None
