"""The queue in which a RabbitMQ client gets its answers. Needs kombu only.

One expiring queue for each client, bound to the exchange of answers under its own name. One of the waiting
threads reads the connection for all of them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

from amqp.exceptions import ChannelError
from kombu import Connection

from booking_tasks.kit.answer_addresses import new_answer_address
from booking_tasks.kit.queues import ANSWERS_EXCHANGE, BROKER_SECONDS

#: How long the queue stays without a reader, in milliseconds; answers can be fetched by sending again.
_EXPIRES = 600_000
#: The pause before another attempt to connect, in seconds.
_PAUSE = 0.2
_POOLED = 100


class UnansweredError(Exception):
    """The service sent no outcome: the message came too late, or the task failed."""


class PendingAnswer:
    """The place of one answer, which has the methods of Celery's result that a receipt uses."""

    def __init__(self, queue: AnswerQueue, address: str) -> None:
        self._queue = queue
        self.address = address
        self.content: dict[str, Any] | None = None

    def get(self, timeout: float, propagate: bool = True) -> Any:
        """Wait for the answer. Raises TimeoutError, or UnansweredError when there will be none."""
        content = self._queue.wait_for(self, timeout)
        if content.get("status") != "SUCCESS" and propagate:
            raise UnansweredError(f"the service answered with the status {content.get('status')}")
        return content.get("result")


class AnswerQueue:
    """Answers to the messages of one process, safe to share between its threads."""

    def __init__(self, broker_url: str, account: str) -> None:
        new_answer_address(account)  # refuses a name that no address may contain
        self._url, self._account = broker_url, account
        self._pending: WeakValueDictionary[str, PendingAnswer] = WeakValueDictionary()
        self._arrived = threading.Condition()
        self._is_read = False
        self._connecting = threading.RLock()
        self._connection: Connection | None = None
        self._address, self._pid = "", 0

    def expect(self, message_id: str) -> PendingAnswer:
        """Make a place for the answer to a message that is sent next. Raises the transport's errors."""
        self._connected()
        pending = PendingAnswer(self, self._address)
        self._pending[message_id] = pending
        return pending

    def wait_for(self, pending: PendingAnswer, seconds: float) -> dict[str, Any]:
        """Return the content of an answer. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while True:
            with self._arrived:
                if pending.content is not None:
                    return pending.content
                rest = end - time.monotonic()
                if rest <= 0:
                    raise TimeoutError(f"no answer within {seconds:g} s")
                if self._is_read:
                    self._arrived.wait(rest)
                    continue
                self._is_read = True
            try:
                self._read(min(rest, BROKER_SECONDS))
            finally:
                with self._arrived:
                    self._is_read = False
                    self._arrived.notify_all()

    def close(self) -> None:
        """Close the connection; the queue expires."""
        with self._connecting:
            connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _read(self, seconds: float) -> None:
        """Read one answer. A connection that was silent or broken is replaced by the next reader."""
        began = time.monotonic()
        try:
            self._connected().drain_events(timeout=seconds)
        except Exception as error:  # noqa: BLE001 - each transport has its own errors; the caller sends again
            if not isinstance(error, TimeoutError) or seconds >= BROKER_SECONDS:
                self._disconnect()
            if not isinstance(error, TimeoutError):
                time.sleep(max(0.0, min(_PAUSE, seconds - (time.monotonic() - began))))

    def _connected(self) -> Connection:
        with self._connecting:
            if self._pid != os.getpid():  # a fork must not share connection and queue with its parent
                self._connection, self._address, self._pid = None, "", os.getpid()
            if self._connection is not None:
                return self._connection
            try:
                return self._connect(self._address or new_answer_address(self._account))
            except ChannelError:  # the old queue still has its old reader, or cannot be used any more
                return self._connect(new_answer_address(self._account))

    def _connect(self, address: str) -> Connection:
        connection = Connection(self._url, connect_timeout=BROKER_SECONDS)
        try:
            connection.ensure_connection(max_retries=1, timeout=BROKER_SECONDS)
            channel = connection.default_channel
            channel.queue_declare(address, durable=True, auto_delete=False, arguments={"x-expires": _EXPIRES})
            channel.queue_bind(address, ANSWERS_EXCHANGE, address)
            channel.basic_qos(0, _POOLED, False)
            channel.basic_consume(address, exclusive=True, callback=self._on_answer)
        except Exception:  # each transport has its own errors; a connection that is half set up is closed
            connection.collect()
            raise
        self._connection, self._address = connection, address
        return connection

    def _disconnect(self) -> None:
        with self._connecting:
            connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.collect()

    def _on_answer(self, message: Any) -> None:
        with suppress(ValueError, TypeError, AttributeError):
            content = json.loads(message.body)
            pending = self._pending.get(content["task_id"])
            if pending is not None:
                with self._arrived:
                    pending.content = content
                    self._arrived.notify_all()
        message.channel.basic_ack(message.delivery_tag)
