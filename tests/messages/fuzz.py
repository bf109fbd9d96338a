"""Elements that a broken or hostile producer may push: bytes, JSON, and good messages gone wrong."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.messages.raw import PREFIX, SEARCH, coded, envelope, search, submit

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["base64", "utf-8", "application/json", "2030-01-01T00:00:00Z", SEARCH, "booking", "\0"]
    )
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_TASKS = ("search_slots", "submit_request", "upsert_user", "send_invite", "purge", "dance", "bury_message")
_HEADERS = (
    "task", "id", "lang", "eta", "expires", "group", "chord", "retries", "timelimit", "root_id", "parent_id",
    "ignore_result", "compression", "fault", "shadow", "stamps", "stamped_headers", "traceparent",
)  # fmt: skip
_PROPERTIES = ("delivery_tag", "delivery_info", "body_encoding", "correlation_id", "reply_to", "priority")
_FIELDS = ("body", "headers", "properties", "content-type", "content-encoding")
_EMBED = ("callbacks", "errbacks", "chain", "chord")


@st.composite
def _spoilt(draw: st.DrawFn) -> bytes:
    """A good message with some of its parts replaced."""
    request = draw(st.sampled_from([search(), submit()]))
    request |= draw(
        st.dictionaries(st.sampled_from(sorted(request)) | st.text(max_size=5), _VALUES, max_size=2)
    )
    body: Any = [draw(st.just([]) | _VALUES), {"request": request}, draw(st.just({}) | _parts(_EMBED))]
    message = envelope(PREFIX + draw(st.sampled_from(_TASKS)))
    message["body"] = coded(draw(st.just(body) | _VALUES))
    message["headers"] |= draw(_parts(_HEADERS))
    message["properties"] |= draw(_parts(_PROPERTIES))
    message |= draw(_parts(_FIELDS))
    return json.dumps(message).encode()


def _parts(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), _VALUES, max_size=2)


@st.composite
def _cut(draw: st.DrawFn) -> bytes:
    """A good message with a byte changed, or its end missing."""
    raw = bytearray(json.dumps(envelope()).encode())
    place = draw(st.integers(0, len(raw) - 1))
    if draw(st.booleans()):
        return bytes(raw[:place]) or b" "
    raw[place] = draw(st.integers(0, 255))
    return bytes(raw)


def elements() -> st.SearchStrategy[bytes]:
    """List elements, never empty (nobody can push nothing)."""
    anything = _VALUES.map(lambda value: json.dumps(value).encode())
    return _spoilt() | _spoilt() | _cut() | anything | st.binary(min_size=1, max_size=60)
