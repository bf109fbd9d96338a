"""Kombu's AMQP transport, which reports a publish that RabbitMQ did not put into a queue.

RabbitMQ confirms a message that no queue takes; only a mandatory one it returns first (312 NO_ROUTE). An
exchange that does not exist closes the channel (404). Both are errors of the publish here. Needs Celery only.
"""

from __future__ import annotations

from typing import Any

from celery.app.amqp import AMQP
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp

from booking_tasks.kit.queues import BROKER_SECONDS


class UnroutableError(OperationalError):
    """RabbitMQ has no queue for a message; nothing was kept of it."""


class ConfirmingChannel(pyamqp.Channel):
    """A channel whose confirmed publishes end within a time-out, and raise when the message was returned."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._returned: Exception | None = None
        self.events["basic_return"].add(self._keep_returned)

    def _keep_returned(self, error: Exception, exchange: str, routing_key: str, _: Any) -> None:
        self._returned = UnroutableError(f"no queue of exchange {exchange!r} takes {routing_key!r}: {error}")

    def basic_publish_confirm(self, *args: Any, **options: Any) -> Any:
        """Publish and wait for the confirmation. Raises UnroutableError, TimeoutError or py-amqp's errors."""
        self._returned = None
        timeout = options.pop("confirm_timeout", None) or BROKER_SECONDS
        try:
            result = super().basic_publish_confirm(*args, confirm_timeout=timeout, **options)
        except TimeoutError:
            # The late confirmation would be taken for that of the next message.
            self.connection.collect()
            raise
        if self._returned is not None:
            raise self._returned
        return result


class ConfirmingConnection(pyamqp.Connection):
    """A connection with such channels."""

    Channel = ConfirmingChannel


class ConfirmingTransport(pyamqp.Transport):
    """The transport for amqp:// and pyamqp:// addresses."""

    Connection = ConfirmingConnection


class ConfirmingTLSTransport(pyamqp.SSLTransport):
    """The transport for amqps:// addresses."""

    Connection = ConfirmingConnection


class MandatoryTasks(AMQP):
    """Celery's messages (argument `amqp` of an app), each of which must reach a queue."""

    def _create_task_sender(self) -> Any:
        send = super()._create_task_sender()

        def send_mandatory(producer: Any, name: str, message: Any, **options: Any) -> Any:
            return send(producer, name, message, **({"mandatory": True} | options))

        return send_mandatory
