"""Kombu's AMQP transport, in which nothing that a sender wrote can raise before the guard has judged it.

py-amqp decodes properties and routing keys inside the loop that reads the connection, keeps a body of any
size, and kombu unpacks a compressed body before anybody sees the message. An exception there ends the worker,
and the broker delivers the message again. Therefore properties are read by guard/amqp_properties.py, nothing
is unpacked, and of a body that is too large only size and hash are kept. What is wrong is written into the
header `fault`, as on Redis (guard/channel.py); no sender can set it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from struct import unpack_from
from typing import Any

from amqp import spec
from amqp.basic_message import Message as AmqpMessage
from amqp.exceptions import UnexpectedFrame
from kombu.transport import pyamqp

from booking_tasks.guard.amqp_properties import read_properties, readable_delivery
from booking_tasks.guard.envelope import MAX_BODY_BYTES, fingerprint
from booking_tasks.kit import amqp_transport
from booking_tasks.kit.redaction import redacted

_METHOD, _HEADER, _BODY, _HEARTBEAT = 1, 2, 3, 8
_METHODS_WITH_CONTENT = frozenset({spec.Basic.Return, spec.Basic.Deliver, spec.Basic.GetOk})


class FramedMessage(AmqpMessage):
    """A message as its frames arrive. `fault` is the first thing that is wrong with it, or None."""

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        self.fault: str | None = None
        self._digest: Any = None

    def _load_properties(self, class_id: int, buf: bytes, offset: int) -> int:
        found = read_properties(buf, offset)
        self.properties, self.fault = found.values, found.fault
        return len(buf)

    def inbound_body(self, buf: bytes) -> None:
        """Keep a part of the body; of a body beyond the limit keep only the hash."""
        if self.body_size <= MAX_BODY_BYTES:
            super().inbound_body(buf)
            return
        self._digest = self._digest or hashlib.sha256()
        self._digest.update(buf)
        self.body_received += len(buf)
        self.ready = self.body_received >= self.body_size
        self.body = b""
        self.fault = self.fault or f"the body is larger than {MAX_BODY_BYTES} bytes"

    def fingerprint(self) -> dict[str, Any]:
        """Return the size and the hash of the whole body."""
        if self._digest is None:
            body = self.body if isinstance(self.body, bytes) else b""
            return fingerprint(body)
        return {"bytes": self.body_received, "sha256": self._digest.hexdigest()}


def frame_handler(
    connection: Any, receive: Callable[[int, Any, bytes, Any], None]
) -> Callable[[tuple[int, int, bytes]], bool]:
    """Return py-amqp's reader of frames (amqp/method_framing.py) with a message class of our own."""
    expected: dict[int, int] = defaultdict(lambda: _METHOD)
    partial: dict[int, FramedMessage] = {}

    def finish(channel: int, message: FramedMessage) -> bool:
        expected[channel] = _METHOD
        partial.pop(channel, None)
        receive(channel, message.frame_method, message.frame_args, message)
        return True

    def on_frame(frame: tuple[int, int, bytes]) -> bool:
        type_, channel, buffer = frame
        connection.bytes_recv += 1
        if type_ == _HEARTBEAT:
            return False
        if type_ != expected[channel]:
            raise UnexpectedFrame(f"Received frame {type_} while expecting type: {expected[channel]}")
        if type_ == _METHOD:
            method = unpack_from(">HH", buffer, 0)
            if method in _METHODS_WITH_CONTENT:
                partial[channel] = FramedMessage(frame_method=method, frame_args=buffer)
                expected[channel] = _HEADER
                return False
            receive(channel, method, buffer, None)
            return True
        message = partial[channel]
        if type_ == _HEADER:
            message.inbound_header(buffer)
            expected[channel] = _BODY
        else:
            message.inbound_body(buffer)
        return finish(channel, message) if message.ready else False

    return on_frame


class GuardedMessage(pyamqp.Message):
    """A message as the worker gets it: never unpacked, and only the guard sets its header `fault`."""

    def __init__(self, msg: Any, channel: Any = None, **values: Any) -> None:
        sent = msg.properties.get("application_headers") or {}
        fault = msg.fault
        if fault is None and sent.get("compression"):
            fault = "headers.compression is not accepted: send the body as it is"
        headers = {name: value for name, value in sent.items() if name not in {"fault", "compression"}}
        if fault is not None:
            # The id and `ignore_result` say whether the sender waits for an answer.
            claims = {name: sent.get(name) for name in ("task", "id", "ignore_result")}
            shape = {"headers": redacted(sent)} | msg.fingerprint()
            headers = {"fault": claims | {"reason": fault, "shape": shape}}
        msg.properties = msg.properties | {"application_headers": headers}
        super().__init__(msg, channel=channel, **values)


class GuardedAmqpChannel(amqp_transport.ConfirmingChannel):
    """A channel whose deliveries can always be read, and whose bodies stay bytes."""

    Message = GuardedMessage

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.auto_decode = False  # py-amqp would decode the body with whatever codec the sender names

    def dispatch_method(self, method_sig: Any, payload: bytes, content: Any) -> None:
        if method_sig == spec.Basic.Deliver:
            payload, fault = readable_delivery(payload)
            content.fault = content.fault or fault
        super().dispatch_method(method_sig, payload, content)


class GuardedAmqpConnection(pyamqp.Connection):
    """A connection that reads its frames as above."""

    Channel = GuardedAmqpChannel

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, frame_handler=frame_handler, **options)


class GuardedAmqpTransport(pyamqp.Transport):
    """The transport for amqp:// and pyamqp:// addresses."""

    Connection = GuardedAmqpConnection


class GuardedAmqpTLSTransport(pyamqp.SSLTransport):
    """The transport for amqps:// addresses."""

    Connection = GuardedAmqpConnection
