"""The properties of an AMQP message, read so that nothing which a sender wrote can raise.

py-amqp raises at a timestamp in milliseconds, at bytes that are not UTF-8 and at tables nested too deep,
inside the loop that reads the connection. Here such a property is left out, and the first fault is described
for the sender. Pure functions over bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from amqp.serialization import _read_item, decode_properties_basic, dumps

#: The properties in their order, with the bit that announces each (AMQP 0-9-1, 4.2.6.1) and their type: a
#: short string, a table, or the format of a number.
_PROPERTIES = (
    (0x8000, "content_type", "s"),
    (0x4000, "content_encoding", "s"),
    (0x2000, "application_headers", "F"),
    (0x1000, "delivery_mode", ">B"),
    (0x0800, "priority", ">B"),
    (0x0400, "correlation_id", "s"),
    (0x0200, "reply_to", "s"),
    (0x0100, "expiration", "s"),
    (0x0080, "message_id", "s"),
    (0x0040, "timestamp", ">Q"),
    (0x0020, "type", "s"),
    (0x0010, "user_id", "s"),
    (0x0008, "app_id", "s"),
    (0x0004, "cluster_id", "s"),
)
#: The values of a table: the letter of each type with its size in bytes, or None where a length precedes it.
_SIZES: dict[str, int | None] = {
    **dict.fromkeys("SxFA"),
    **dict.fromkeys("bBt", 1),
    **dict.fromkeys("sUu", 2),
    **dict.fromkeys("Iif", 4),
    **dict.fromkeys("LldT", 8),
    "D": 5,
    "V": 0,
}
_LENGTH = 4
#: A header's name is quoted to its sender when it has this form; any other may contain personal data.
_QUOTED = 64


class _UnreadableError(Exception):
    """The bytes end or contradict themselves here; the text names the place."""


@dataclass
class Properties:
    """The properties that could be read, by name, and the first fault of those that could not."""

    values: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None

    def add_fault(self, fault: str) -> None:
        self.fault = self.fault or fault


def read_properties(buffer: bytes, offset: int) -> Properties:
    """Read the property flags and the properties after them. Never raises, whatever the bytes are."""
    try:
        values, _ = decode_properties_basic(buffer, offset)
        return Properties(values)
    except Exception:  # noqa: BLE001 - a reader of untrusted bytes: the slower one below finds the reason
        return _readable_properties(buffer, offset)


def _readable_properties(buffer: bytes, offset: int) -> Properties:
    found = Properties()
    try:
        flags = _number(buffer, offset, ">H", "the property flags")
        offset += 2
        for bit, name, type_ in _PROPERTIES:
            if flags & bit:
                offset = _read_property(found, name, type_, buffer, offset)
    except _UnreadableError as error:
        found.add_fault(f"{error} cannot be read: the properties end too early")
    found.add_fault("the properties cannot be read")  # py-amqp refused them for a reason unknown here
    return found


def _read_property(found: Properties, name: str, type_: str, buffer: bytes, offset: int) -> int:
    """Read one property into `found`, or its fault; returns where the next begins."""
    if type_ == "F":
        length = _number(buffer, offset, ">I", "headers")
        end = offset + _LENGTH + length
        found.values[name] = _readable_headers(found, buffer[:end], offset + _LENGTH)
        if end > len(buffer):
            found.add_fault("headers cannot be read: the properties end too early")
        return end
    if type_ != "s":
        found.values[name] = _number(buffer, offset, type_, f"properties.{name}")
        return offset + _size(type_)
    length = _number(buffer, offset, ">B", f"properties.{name}")
    end = offset + 1 + length
    try:
        found.values[name] = buffer[offset + 1 : end].decode()
    except UnicodeDecodeError:
        found.add_fault(f"properties.{name} must be text in UTF-8")
    return end


def _readable_headers(found: Properties, buffer: bytes, offset: int) -> dict[str, Any]:
    """Return the headers that can be read; the first that cannot is the fault."""
    headers: dict[str, Any] = {}
    try:
        while offset < len(buffer):
            name, offset = _header_name(buffer, offset)
            end = _end_of_value(buffer, offset)
            try:
                headers[name], _ = _read_item(buffer[:end], offset)
            except Exception as error:  # noqa: BLE001 - as above; RecursionError is one of many
                found.add_fault(_fault_of(name, chr(buffer[offset]), error))
            offset = end
    except _UnreadableError as error:
        found.add_fault(f"headers cannot be read: {error}")
    return headers


def _header_name(buffer: bytes, offset: int) -> tuple[str, int]:
    length = _number(buffer, offset, ">B", "the name of a header ends too early")
    end = offset + 1 + length
    return buffer[offset + 1 : end].decode(errors="replace"), end


def _end_of_value(buffer: bytes, offset: int) -> int:
    """Return where a header's value ends, by its type alone."""
    if offset >= len(buffer):
        raise _UnreadableError("a value is missing")
    type_ = chr(buffer[offset])
    if type_ not in _SIZES:
        raise _UnreadableError("a value has an unknown type")
    size = _SIZES[type_]
    if size is None:
        size = _LENGTH + _number(buffer, offset + 1, ">I", "a length ends too early")
    end = offset + 1 + size
    if end > len(buffer):
        raise _UnreadableError("a value ends too early")
    return end


def _fault_of(name: str, type_: str, error: Exception) -> str:
    quoted = name if len(name) <= _QUOTED and name.isascii() and name.isidentifier() else "a header"
    if type_ == "T":
        return f"headers.{quoted} must be a timestamp in whole seconds since 1970"
    if isinstance(error, RecursionError):
        return f"headers.{quoted} is nested too deep"
    return f"headers.{quoted} cannot be read ({type(error).__name__})"


def _number(buffer: bytes, offset: int, form: str, what: str) -> int:
    try:
        return int(struct.unpack_from(form, buffer, offset)[0])
    except struct.error:
        raise _UnreadableError(what) from None


def _size(form: str) -> int:
    return {">B": 1, ">H": 2, ">I": 4, ">Q": 8}[form]


def readable_delivery(payload: bytes) -> tuple[bytes, str | None]:
    """Return the arguments of a delivery with an exchange and a routing key that can be read, and the fault.

    A routing key is its sender's: with the header CC a message reaches a queue under any other key.
    """
    # class, method, consumer tag (a short string), delivery tag, redelivered; then exchange and routing key
    start = 5 + payload[4] + 9
    try:
        payload[start:].decode()
    except UnicodeDecodeError:
        empty = dumps("ss", ("", ""))
        return payload[:start] + empty, "the exchange and the routing key must be text in UTF-8"
    return payload, None
