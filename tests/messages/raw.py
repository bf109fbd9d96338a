"""Messages as a producer in any language writes them: JSON that is pushed onto a list."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import uuid4

PREFIX = "booking_tasks.v1."
SEARCH = PREFIX + "search_slots"

#: A marker for leaving a field out.
OUT = object()


def search() -> dict[str, Any]:
    """The request of a search that is answered, with no: this kind of consultation does not exist."""
    return {
        "service_type_id": str(uuid4()),
        "start": "2027-03-01T09:00:00Z",
        "end": "2027-03-02T09:00:00Z",
    }


def submit() -> dict[str, Any]:
    """The request of a command that is answered, with no, for the same reason."""
    return {
        "message_id": str(uuid4()),
        "actor": "shop",
        "request_id": str(uuid4()),
        "requester_user_id": str(uuid4()),
        "service_type_id": str(uuid4()),
        "details": "secret wish",
    }


def _without(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not OUT}


def coded(body: Any) -> str:
    """A body as it stands in the envelope; bytes are taken as they are."""
    return base64.b64encode(body if isinstance(body, bytes) else json.dumps(body).encode()).decode()


def envelope(
    task: Any = SEARCH,
    body: Any = OUT,
    headers: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A good message for the booking queue, but for what is given; OUT leaves a field out."""
    sound_headers = {"lang": "py", "task": task, "id": str(uuid4())}
    sound_properties = {
        "correlation_id": str(uuid4()),
        "delivery_tag": str(uuid4()),
        "body_encoding": "base64",
        "delivery_info": {"exchange": "", "routing_key": "booking"},
    }
    sound = {
        "body": coded([[], {"request": search()}, {}] if body is OUT else body),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": _without(sound_headers | (headers or {})),
        "properties": _without(sound_properties | (properties or {})),
    }
    return _without(sound | fields)


def element(*args: Any, **changes: Any) -> bytes:
    """The same as the bytes of a list element."""
    return json.dumps(envelope(*args, **changes)).encode()


def nested(levels: int) -> bytes:
    """A JSON list in a list in a list."""
    return b"[" * levels + b"]" * levels
