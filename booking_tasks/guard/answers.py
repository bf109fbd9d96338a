"""Celery's result backend for RabbitMQ alone: each answer goes to the address of its sender."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from celery.backends.base import DisabledBackend

from booking_tasks.kit.logs import logger
from booking_tasks.kit.queues import ANSWERS_EXCHANGE, send_with_reconnect
from booking_tasks.kit.settings import settings

log = logger(__name__)


class AnswerBackend(DisabledBackend):
    """Publishes an awaited answer to the address that the guard has verified.

    A lost answer is not an error of its task: its sender sends the message again and gets the stored one.
    """

    def store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **_: Any
    ) -> Any:
        """Publish the answer; without an address there is nobody to answer."""
        address = getattr(request, "reply_to", None)
        if not address:
            return result
        answer = {"task_id": task_id, "status": state, "result": result if state == "SUCCESS" else None}
        try:
            send_with_reconnect(partial(self._publish, answer, address))
        except Exception as error:  # noqa: BLE001 - any error of the broker's client
            log.warning("answer.lost", task_id=task_id, error=type(error).__name__)
        return result

    def _publish(self, answer: dict[str, Any], address: str) -> None:
        with self.app.producer_or_acquire() as producer:
            producer.publish(
                answer,
                exchange=ANSWERS_EXCHANGE,
                routing_key=address,
                correlation_id=answer["task_id"],
                serializer="json",
                delivery_mode="transient",
                expiration=settings().result_expiry / timedelta(seconds=1),
                retry=False,
            )
