"""The worker's consumer: every message is judged before Celery reads anything of it.

What is refused or unknown goes on as a call of one of the guard's own tasks, so that a worker's main
process never waits for the database, and a bad message costs what a good one does.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from celery.worker.consumer import Consumer

from booking_tasks.guard.doors import doors_of
from booking_tasks.guard.rules import (
    Admitted,
    Received,
    body_of,
    call_for,
    headers_of,
    judge,
)


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
            _become(message, call_for(judge(_received(message, queue), doors), queue, str(uuid4())))
            return handle(message)

        self._receive = receive
        return receive

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """A message that kombu could not open, such as one with broken compression."""
        message.headers = {"fault": {"reason": f"the message cannot be opened ({type(exc).__name__})"}}
        self._receive(message)

    def _queue_of(self, message: Any) -> str:
        """The queue a message was taken from: RabbitMQ names the consumer, our Redis channel the queue."""
        tag = message.delivery_info.get("consumer_tag")
        tags = self.task_consumer._active_tags if tag is not None else {}
        by_tag = {one: queue for queue, one in tags.items()}
        return str(by_tag.get(tag, message.delivery_info.get("routing_key", "")))


def _received(message: Any, queue: str) -> Received:
    return Received(message.headers, message.body, message.content_type, message.content_encoding, queue)


def _become(message: Any, call: Admitted) -> None:
    """Make the message that call, and nothing but it."""
    message.headers, message.body = headers_of(call), body_of(call)
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message.properties = {"correlation_id": call.id}
    message._decoded_cache = None
