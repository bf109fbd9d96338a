"""A typed producer for other Python services. Needs Celery and the contracts, nothing else.

    client = BookingClient("redis://localhost:6379/0")
    receipt = client.send(SubmitRequest(message_id=uuid4(), actor="shop", ...), wait=True)
    outcome = receipt.outcome(timeout=5)   # a RequestOutcome

RabbitMQ works alike (`amqp://producer-booking:...@rabbitmq:5672/booking`): each message goes to the exchange
of its queue, and answers come back to a queue of this client's own.

A message is accepted when its outcome has arrived: send the same command again (with the same `message_id`)
until then. The broker may lose a message; the service always answers the same message in the same way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from celery import Celery

from booking_tasks.contracts import TASK_PREFIX, Query
from booking_tasks.contracts.base import MAX_REQUEST_BYTES, OutcomeT
from booking_tasks.contracts.later_release import read_outcome
from booking_tasks.enums import RefusalCode
from booking_tasks.kit.answer_queue import AnswerQueue
from booking_tasks.kit.broker_urls import is_amqp
from booking_tasks.kit.queues import (
    AMQP_TRANSPORTS,
    BROKER_SECONDS,
    declared_queues,
    destination,
    send_with_reconnect,
)

#: The time-out of one exchange with the result backend; `outcome` may exceed its time-out by this.
_RESULT_SECONDS = 1.0


class NotSentError(Exception):
    """The broker may or may not have the message: send the same command again."""


class NoAnswerError(Exception):
    """No outcome came in time: send the same command again."""


class ParkedError(NoAnswerError):
    """The worker that took the message has no such task: it is kept for a newer one; send it again."""


@dataclass(frozen=True)
class Receipt(Generic[OutcomeT]):
    """A sent message. Its outcome can be read only when it was sent with `wait=True`."""

    result: Any
    contract: type[Query[OutcomeT]]

    def outcome(self, timeout: float = 10.0) -> OutcomeT:
        """Wait up to `timeout` seconds for the outcome. Raises NoAnswerError.

        A message that is parked has no final outcome, although a worker has answered (ParkedError).
        """
        try:
            answer = self.result.get(timeout=timeout, propagate=True)
        except Exception as error:  # time-outs, broken connections and a worker's error are all no answer
            raise NoAnswerError(f"{self.contract.task}: {type(error).__name__}: {error}") from error
        outcome = read_outcome(self.contract.outcome, answer)
        if outcome.code == RefusalCode.PARKED:
            raise ParkedError(f"{self.contract.task}: {outcome.message}")
        return outcome  # type: ignore[return-value]  # by its type


def _transport_options(broker_url: str) -> dict[str, Any]:
    at_once = {"max_retries": 0}  # an error at once, without a pause and a second try
    if is_amqp(broker_url):
        return at_once | {"confirm_publish": True}
    return at_once | {"socket_timeout": BROKER_SECONDS, "socket_connect_timeout": BROKER_SECONDS}


class BookingClient:
    """Sends commands and queries; one per process, safe to share between threads.

    On RabbitMQ answers come over the exchange of answers, unless `result_backend` names a Redis.
    """

    def __init__(self, broker_url: str, result_backend: str | None = None) -> None:
        from booking_tasks.kit.amqp_transport import MandatoryTasks  # noqa: PLC0415 - Celery's messages, when a client is made

        if result_backend and result_backend.partition(":")[0] in {"rpc", "amqp", "amqps", "pyamqp"}:
            raise ValueError("result_backend: leave it out; RabbitMQ's answers come over booking.answers")
        self._broker_url = broker_url
        self._account = unquote(urlsplit(broker_url).username or "guest")
        self._answers: AnswerQueue | None = None
        if is_amqp(broker_url) and not result_backend:
            self._answers = AnswerQueue(broker_url, self._account)
        self._app = Celery(
            "booking_tasks_client",
            amqp=MandatoryTasks,
            set_as_current=False,
        )
        self._app.conf.update(
            broker_url=broker_url,
            broker_transport=AMQP_TRANSPORTS.get(broker_url.partition("://")[0]),
            result_backend=result_backend or (None if is_amqp(broker_url) else broker_url),
            task_serializer="json",
            accept_content=["json"],
            task_queues=declared_queues(broker_url),
            task_create_missing_queues=False,
            task_default_exchange="",
            task_default_queue="booking",  # Celery 5.5 wants one; each message names its own
            task_publish_retry=False,
            broker_connection_timeout=BROKER_SECONDS,
            broker_transport_options=_transport_options(broker_url),
            redis_socket_timeout=_RESULT_SECONDS,
            redis_socket_connect_timeout=_RESULT_SECONDS,
            result_backend_transport_options={"retry_policy": {"max_retries": 0}},
            result_expires=600,
        )

    def send(self, message: Query[OutcomeT], *, wait: bool = False) -> Receipt[OutcomeT]:
        """Enqueue a command or query. With `wait`, the outcome is kept for a few minutes.

        Raises ValueError when the message is too long, and NotSentError when the broker does not take it
        within about five seconds.
        """
        request = message.model_dump(mode="json", exclude_none=True)
        if len(json.dumps(request)) > MAX_REQUEST_BYTES:  # its contract was not validated as a whole
            raise ValueError(f"{message.task}: has more than {MAX_REQUEST_BYTES} bytes of JSON; shorten it")
        task_id = str(uuid4())
        try:
            pending = self._answers.expect(task_id) if self._answers is not None and wait else None
            reply = {} if pending is None else {"reply_to": pending.address}
            result = send_with_reconnect(
                partial(
                    self._app.send_task,
                    TASK_PREFIX + message.task,
                    kwargs={"request": request},
                    task_id=task_id,
                    ignore_result=not wait,
                    argsrepr="()",
                    kwargsrepr="{}",
                    **destination(message.queue, self._broker_url),
                    **self._sender,
                    **reply,
                )
            )
        except Exception as error:  # each transport has its own errors; the caller gets one type
            raise NotSentError(f"{message.task}: {type(error).__name__}: {error}") from error
        return Receipt(pending or result, type(message))

    @property
    def _sender(self) -> dict[str, str]:
        """The account as RabbitMQ verifies it; Redis has no such property."""
        return {"user_id": self._account} if is_amqp(self._broker_url) else {}

    def close(self) -> None:
        """Close the connections to the broker."""
        self._app.close()
        if self._answers is not None:
            self._answers.close()
