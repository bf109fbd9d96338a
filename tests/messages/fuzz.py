"""Elements that producers may push: bytes, JSON, good messages gone wrong, and good ones.

Each leaves its own trace wherever it ends (tests/messages/message_accounts.py): a call that changes
nothing asks for its answer, and no two valid ones have the same id.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from hypothesis import strategies as st

from tests.messages.raw import OUT, PREFIX, SEARCH, coded, element, envelope, search, submit

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
_TASKS = (
    "search_slots",
    "submit_request",
    "upsert_user",
    "send_invite",
    "purge",
    "dance",
    "dead_letter_message",
)
_HEADERS = (
    "task",
    "lang",
    "eta",
    "expires",
    "group",
    "chord",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "compression",
    "fault",
    "shadow",
    "stamps",
    "stamped_headers",
    "traceparent",
)
_NO_IDS: list[Any] = [None, 7, [], {}, "", "a b", "\0", "x" * 65]
_IDS = st.sampled_from(_NO_IDS) | st.builds(lambda: f"A.b:{uuid4().hex}")
#: Their rows tell what became of them; of the others only an answer does.
_COMMANDS = (PREFIX + "submit_request", PREFIX + "upsert_user")
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
    message = asking(PREFIX + draw(st.sampled_from(_TASKS)))
    message["body"] = coded(draw(st.just(body) | _VALUES))
    message["headers"] |= draw(_parts(_HEADERS)) | draw(st.just({}) | st.fixed_dictionaries({"id": _IDS}))
    if message["headers"]["task"] in _COMMANDS:
        message["headers"] |= draw(_parts(("ignore_result",)))
    message["properties"] |= draw(_parts(_PROPERTIES))
    message |= draw(_parts(_FIELDS))
    return json.dumps(message).encode()


def _parts(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), _VALUES, max_size=2)


def asking(task: str, body: Any = OUT) -> dict[str, Any]:
    """A good message whose answer is kept."""
    return envelope(task, body, headers={"ignore_result": False})


@st.composite
def _cut(draw: st.DrawFn) -> bytes:
    """A good command with a byte changed, or its end missing."""
    raw = bytearray(element(PREFIX + "submit_request", [[], {"request": submit()}, {}]))
    place = draw(st.integers(0, len(raw) - 1))
    if draw(st.booleans()):
        return bytes(raw[:place]) or b" "
    raw[place] = draw(st.integers(0, 255))
    return bytes(raw)


#: A command and a call of another release, sent again and again; the command sometimes says something else.
_AGAIN, _AGAIN_UNKNOWN = submit(), submit()


@st.composite
def _sound(draw: st.DrawFn) -> bytes:
    """A message that is one: a question, a command, the same again, a wake-up, one that came too late."""
    requests = [search(), submit(), _AGAIN, _AGAIN | {"details": "another wish"}]
    calls = {
        "search_slots": requests[:1],
        "submit_request": requests[1:],
        "dance": [_AGAIN_UNKNOWN],
    }
    wakeups = ("purge", "run_parked", "recover_inbox")
    task = draw(st.sampled_from((*calls, *wakeups)))
    arguments = {} if task in wakeups else {"request": draw(st.sampled_from(calls[task]))}
    message = asking(PREFIX + task, [[], arguments, {}])
    message["headers"] |= draw(st.just({}) | st.just({"expires": "2020-01-01T00:00:00+00:00"}))
    return json.dumps(message).encode()


def elements() -> st.SearchStrategy[bytes]:
    """List elements, never empty (nobody can push nothing)."""
    anything = _VALUES.map(lambda value: json.dumps(value).encode())
    broken = _spoilt() | _spoilt() | _cut() | anything | st.binary(min_size=1, max_size=60)
    return broken | broken | _sound()
