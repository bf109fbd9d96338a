"""The effect: sending a CloudEvent to the targets that other services read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from amqp.exceptions import AccessRefused, AMQPError, MessageNacked, NotFound
from kombu import Queue
from kombu.exceptions import KombuError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.retry import Retry

from booking_tasks.enums import PutOffReason
from booking_tasks.kit.amqp_transport import UnroutableError
from booking_tasks.kit.errors import EffectNotDoneError, EffectUnknownError
from booking_tasks.kit.queues import send_with_reconnect

#: How long a stream's event ids are kept: far longer than an unknown result is repeated.
REMEMBERED = timedelta(days=7)
_SECONDS = 5

# The id is stored after adding: if adding fails, the script ends and a repeat tries again.
_ADD_ONCE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'type', ARGV[2], 'event', ARGV[3])
redis.call('SET', KEYS[2], '1', 'EX', ARGV[4])
return 1
"""


@dataclass(frozen=True)
class Targets:
    """The targets of events. Each may be absent.

    `stream` is a key on `redis_url`, cut to about `stream_length` entries. `task` is a Celery task of another
    service that takes `event=<CloudEvent>` from `queue` on our broker. `exchange` is a topic exchange of our
    broker: events have their type as routing key, and calls of `task` the name of `queue`.
    """

    redis_url: str
    stream: str | None
    stream_length: int
    task: str | None
    queue: Queue | None
    exchange: str | None = None

    def __bool__(self) -> bool:
        return bool(self.stream or self.task or self.exchange)


class Publisher:
    """Publishes to every target; its connection lasts as long as the `with` block."""

    def __init__(
        self,
        targets: Targets,
        send_task: Callable[..., Any],
        acquire_producer: Callable[[], AbstractContextManager[Any]] | None = None,
    ) -> None:
        self.targets = targets
        self._send_task = send_task
        self._acquire_producer = acquire_producer
        self._redis: Redis = Redis.from_url(
            targets.redis_url,
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            retry=Retry(NoBackoff(), 0),  # the job is retried; a second policy here would hide that
        )
        self._add_once = self._redis.register_script(_ADD_ONCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._redis.close()

    def publish(self, event: bytes) -> None:
        """Put one CloudEvent (JSON) into every target.

        A repeat adds nothing to a stream that has the event; as a task or to the exchange it is sent again,
        under the same id. Raises EffectNotDoneError or EffectUnknownError.
        """
        body = json.loads(event)
        if self.targets.exchange:
            self._to_exchange(self.targets.exchange, body, event)
        if self.targets.stream:
            self._to_stream(self.targets.stream, body, event)
        if self.targets.task:
            self._to_task(self.targets.task, body)

    def _to_stream(self, stream: str, body: dict[str, Any], event: bytes) -> None:
        try:
            self._redis.ping()
        except RedisError as error:
            reason = _reason(error)
            raise EffectNotDoneError(f"the stream's server is out of reach: {error}", reason) from error
        try:
            self._add_once(
                # The braces keep both keys on one node of a cluster.
                keys=[stream, f"{{{stream}}}:has:{body['id']}"],
                args=[self.targets.stream_length, body["type"], event, int(REMEMBERED.total_seconds())],
            )
        except ResponseError as error:
            raise EffectNotDoneError(f"the stream's server refused: {error}", _reason(error)) from error
        except RedisError as error:
            raise EffectUnknownError(f"the stream's server did not answer: {error}") from error

    def _to_exchange(self, exchange: str, body: dict[str, Any], event: bytes) -> None:
        properties = {"message_id": body["id"], "type": body["type"], "delivery_mode": "persistent"}

        def publish() -> None:
            if self._acquire_producer is None:
                raise EffectNotDoneError("no connection to the broker of the exchange")
            with self._acquire_producer() as producer:
                producer.publish(
                    event,
                    exchange=exchange,
                    routing_key=body["type"],
                    content_type="application/cloudevents+json",
                    content_encoding="utf-8",
                    retry=False,
                    **properties,
                )

        with _broker_errors():
            send_with_reconnect(publish)

    def _to_task(self, task: str, body: dict[str, Any]) -> None:
        destination: dict[str, Any] = {"queue": self.targets.queue}
        if (
            self.targets.exchange and self.targets.queue is not None
        ):  # the consumer declares and binds its queue
            key = self.targets.queue.name
            destination = {"exchange": self.targets.exchange, "routing_key": key, "declare": []}
        with _broker_errors():
            self._send_task(
                task, kwargs={"event": body}, task_id=body["id"], ignore_result=True, **destination
            )


@contextmanager
def _broker_errors() -> Iterator[None]:
    """Convert the errors of the broker's client to those of effects."""
    try:
        yield
    except (AccessRefused, NotFound, UnroutableError) as error:
        is_login = isinstance(error, AccessRefused)
        reason = PutOffReason.LOGIN_REFUSED if is_login else PutOffReason.NOT_READY
        raise EffectNotDoneError(f"the broker refused: {error}", reason) from error
    except (AMQPError, MessageNacked, KombuError, OSError) as error:
        raise EffectUnknownError(f"the broker did not answer: {error}") from error


def _reason(error: RedisError) -> PutOffReason:
    if isinstance(error, AuthenticationError | NoPermissionError):
        return PutOffReason.LOGIN_REFUSED
    return PutOffReason.NOT_READY if isinstance(error, ResponseError) else PutOffReason.UNREACHABLE
