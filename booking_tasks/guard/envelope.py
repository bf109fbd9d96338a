"""The envelope: an element of the broker's list, read with limits and rebuilt.

Nothing that a sender says about delivery is trusted: the queue is the list that the element was taken from,
and the delivery tag is made here. Pure functions over bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from typing import Any, NoReturn

from booking_tasks.kit.redaction import redacted

#: The limit of a whole element. Base64 makes four bytes of three; the rest is space for headers.
MAX_MESSAGE_BYTES = 256 * 1024
#: The limit of the body; a contract refuses what would be longer, so no message of a contract reaches it.
MAX_BODY_BYTES = 160 * 1024
MAX_DEPTH = 20

# The closing quote is optional, so that one match covers a string without an end.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


class FaultError(Exception):
    """A message is refused; the text tells its sender why."""


def read_json(raw: bytes, what: str) -> Any:
    """Parse untrusted JSON in UTF-8. Raises FaultError that names `what`.

    The depth is counted before the text is parsed, because a deep text attacks a parser that recurses.
    """
    if depth(raw) > MAX_DEPTH:
        raise FaultError(f"{what} is nested deeper than {MAX_DEPTH} levels")
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise FaultError(f"{what} is not JSON in UTF-8 ({type(error).__name__})") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    """Refuse numbers such as 1e999: Python reads infinity, which JSON and jsonb columns cannot store."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def depth(raw: bytes) -> int:
    """Return how deep the brackets of a JSON text nest; up to MAX_DEPTH it may be an upper bound.

    Brackets inside strings do not count.
    """
    opening = raw.count(b"[") + raw.count(b"{")
    if opening <= MAX_DEPTH:
        return opening
    level = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", raw)):
        level += 1 if bracket in b"[{" else -1
        deepest = max(deepest, level)
    return deepest


def clean_envelope(element: bytes, queue: str, delivery_tag: str) -> bytes:
    """Rebuild an element as an envelope that any reader of Celery's protocol can open.

    `queue` is the list that the element was taken from. An element that cannot be read becomes an envelope
    with the single header `fault`, which contains the reason for the guard. No sender can set this header.
    """
    envelope: Any = None
    try:
        envelope = _read(element)
        clean = _opened(envelope)
    except FaultError as fault:
        clean = {"body": "", "headers": {"fault": _fault(str(fault), element, envelope)}}
    clean["properties"] = {
        "delivery_tag": delivery_tag,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
    }
    return json.dumps(clean).encode()


def fingerprint(element: bytes) -> dict[str, Any]:
    """Return the size and the hash of an element: they identify it and contain nothing of its content."""
    return {"bytes": len(element), "sha256": hashlib.sha256(element).hexdigest()}


def _fault(reason: str, element: bytes, envelope: Any) -> dict[str, Any]:
    shape = fingerprint(element)
    if not isinstance(envelope, dict):
        return {"reason": reason, "shape": shape}
    headers = envelope.get("headers")
    known = headers if isinstance(headers, dict) else {}
    return {
        "reason": reason,
        **{name: known.get(name) for name in ("task", "id", "ignore_result")},
        "shape": shape | {"envelope": redacted(envelope | {"body": None})},
    }


def _read(element: bytes) -> Any:
    if len(element) > MAX_MESSAGE_BYTES:
        raise FaultError(f"the message is larger than {MAX_MESSAGE_BYTES} bytes")
    return read_json(element, "the message")


def _opened(envelope: Any) -> dict[str, Any]:
    if not isinstance(envelope, dict):
        raise FaultError("the message is not a JSON object")
    headers, properties = envelope.get("headers"), envelope.get("properties")
    if not isinstance(headers, dict):
        raise FaultError("headers is missing: an object with task and id")
    if not isinstance(properties, dict):
        raise FaultError("properties is missing: an object with delivery_tag and delivery_info")
    if not isinstance(properties.get("delivery_tag"), str) or not properties["delivery_tag"]:
        raise FaultError("properties.delivery_tag is missing: send a fresh uuid")
    if not isinstance(properties.get("delivery_info"), dict):
        raise FaultError("properties.delivery_info is missing: send an object")
    if headers.get("compression"):
        raise FaultError("headers.compression is not accepted: send the body as it is")
    return {
        "body": _body(envelope.get("body"), properties.get("body_encoding")),
        "content-type": envelope.get("content-type"),
        "content-encoding": envelope.get("content-encoding"),
        "headers": {name: value for name, value in headers.items() if name not in {"fault", "compression"}},
    }


def _body(body: Any, encoding: Any) -> str:
    if not isinstance(body, str):
        raise FaultError("body must be a string: JSON, or base64 of JSON")
    if encoding not in (None, "utf-8", "base64"):
        raise FaultError("properties.body_encoding must be base64, utf-8, or left out")
    try:
        decoded = base64.b64decode(body, validate=True) if encoding == "base64" else body.encode()
        text = decoded.decode()
    except ValueError as error:
        raise FaultError(f"the body cannot be decoded ({type(error).__name__})") from None
    if len(decoded) > MAX_BODY_BYTES:
        raise FaultError(f"the body is larger than {MAX_BODY_BYTES} bytes")
    return text
