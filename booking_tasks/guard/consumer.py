"""The worker's consumer: it judges every message before Celery reads it.

A message that is refused or unknown becomes a call of one of the guard's own tasks. The worker's main process
therefore never waits for the database, and a bad message costs as much as a good one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import uuid4

from celery.exceptions import WorkerShutdown
from celery.worker.consumer import Consumer

from booking_tasks.celery import ANSWER_BACKEND
from booking_tasks.guard.amqp_channel import GuardedMessage
from booking_tasks.guard.channel import Channel as RedisChannel
from booking_tasks.guard.entry_points import entry_points_of
from booking_tasks.guard.rules import (
    Admitted,
    AwaitedAnswer,
    EntryPoint,
    ReceivedMessage,
    Refused,
    awaited_id,
    body_of,
    headers_of,
    judge,
    replacement_call,
)
from booking_tasks.kit.answer_addresses import address_problem
from booking_tasks.kit.broker_topology import IncompleteBrokerError, declare_missing
from booking_tasks.kit.broker_urls import is_amqp
from booking_tasks.kit.logs import logger

log = logger(__name__)


class GuardedConsumer(Consumer):
    """Celery's consumer (setting `worker_consumer`) with the guard in front of its message handler."""

    class Blueprint(Consumer.Blueprint):
        """Celery's steps without delayed delivery, because nothing here is sent with ETA or countdown.

        There is no setting for it. On RabbitMQ the step declares 28 queues and 29 exchanges.
        """

        default_steps: ClassVar = [
            step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step
        ]

    def __init__(self, *args: Any, worker_options: dict[str, Any] | None = None, **kwargs: Any) -> None:
        # Gossip and mingle would read messages from anyone who can publish.
        quiet = {**(worker_options or {}), "without_gossip": True, "without_mingle": True}
        super().__init__(*args, worker_options=quiet, **kwargs)

    def connect(self) -> Any:
        """Connect to the broker; on RabbitMQ declare what is missing, or end the worker with the remedy."""
        connection = super().connect()
        if is_amqp(self.app.conf.broker_url):
            try:
                declare_missing(connection.connection)
            except IncompleteBrokerError as error:
                log.error("broker.incomplete", error=str(error))
                raise WorkerShutdown(1) from error
        return connection

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Any:
        """Return the function that handles every message."""
        handle = super().create_task_handler(*args, **kwargs)
        entry_points = entry_points_of(self.app)
        answers_by_address = self.app.conf.result_backend == ANSWER_BACKEND

        def receive(message: Any) -> Any:
            queue = self._queue_of(message)
            # A routing key is its sender's word, and may differ from the queue.
            message.delivery_info = message.delivery_info | {"exchange": "", "routing_key": queue}
            replace_with_call(message, queue, entry_points, answers_by_address)
            return handle(message)

        self._receive = receive
        return receive

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Handle a message that kombu could not open, such as one with broken compression."""
        message.headers = {"fault": {"reason": f"the message cannot be opened ({type(exc).__name__})"}}
        message.opened = False
        self._receive(message)

    def _queue_of(self, message: Any) -> str:
        """Return the queue of a message: RabbitMQ names the consumer, the Redis channel the queue."""
        tag = message.delivery_info.get("consumer_tag")
        tags = self.task_consumer._active_tags if tag is not None else {}
        by_tag = {one: queue for queue, one in tags.items()}
        return str(by_tag.get(tag, message.delivery_info.get("routing_key", "")))


def replace_with_call(
    message: Any, queue: str, entry_points: Mapping[str, EntryPoint], answers_by_address: bool = False
) -> None:
    """Overwrite a message with the one call that replaces it. Never raises, whatever the message contains."""
    fresh_id = str(uuid4())
    try:
        received = _received(message, queue)
        answer = _awaited_answer(message, received, answers_by_address)
        call = replacement_call(judge(received, entry_points), queue, fresh_id, answer)
        _overwrite(message, call, None if answer is None else answer.address)
    except Exception as error:  # an exception would end the worker, and the message would be delivered again
        log.exception("message.not_judged", queue=queue)
        refused = Refused("unknown", f"the message cannot be judged ({type(error).__name__})", None, {})
        _overwrite(message, replacement_call(refused, queue, fresh_id), None)


def _received(message: Any, queue: str) -> ReceivedMessage:
    headers = message.headers
    if not _is_fault_trusted(message) and isinstance(headers, dict):
        headers = {name: value for name, value in headers.items() if name != "fault"}
    return ReceivedMessage(headers, message.body, message.content_type, message.content_encoding, queue)


def _awaited_answer(
    message: Any, received: ReceivedMessage, answers_by_address: bool
) -> AwaitedAnswer | None:
    """Return where the answer goes, or None when nobody waits or nobody can be answered."""
    properties = message.properties if isinstance(message.properties, dict) else {}
    address = properties.get("reply_to")
    id_ = awaited_id(received.headers, is_awaited_by_default=answers_by_address and bool(address))
    if id_ is None or not answers_by_address:
        return None if id_ is None else AwaitedAnswer(id_)
    problem = address_problem(address, properties.get("user_id"))
    if problem is not None:
        log.warning("message.unanswerable", queue=received.queue, id=id_, reason=problem)
        return None
    return AwaitedAnswer(id_, address)


def _is_fault_trusted(message: Any) -> bool:
    """Whether this worker set the header `fault`: no other channel removes the one that a sender wrote."""
    if isinstance(message, GuardedMessage) or isinstance(message.channel, RedisChannel):
        return True
    return getattr(message, "opened", True) is False


def _overwrite(message: Any, call: Admitted, answer_address: str | None) -> None:
    """Replace everything that Celery reads of the message by the call."""
    message.headers, message.body = headers_of(call), body_of(call)
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message.properties = {"correlation_id": call.id, "reply_to": answer_address}
    message._decoded_cache = None
