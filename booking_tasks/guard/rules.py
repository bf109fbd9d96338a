"""The rules of the guard: a message is admitted as a clean call, parked for a later release, or refused.

No message is passed on as it came. An admitted call is rebuilt from the few values that a sender may set, so
that other features of Celery's protocol cannot be used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.contracts.base import texts_in
from booking_tasks.guard.envelope import MAX_BODY_BYTES, FaultError, fingerprint, read_json
from booking_tasks.kit.redaction import redacted

#: The guard's own tasks. They replace a message that is refused, or whose task this release does not have.
DEAD_LETTER = TASK_PREFIX + "dead_letter_message"
PARK = TASK_PREFIX + "park_message"

#: The form of all task names of this service, of earlier and later releases too.
_OURS = re.compile(r"booking_tasks\.v\d{1,4}\.[a-z][a-z0-9_]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_TRACE = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,511}")
#: Characters that JSON can contain and PostgreSQL cannot store: NUL, and halves of surrogate pairs.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_TRACE_HEADERS = ("traceparent", "tracestate", "baggage")
#: Headers and parts of the body that would make the worker run more than this task, or run it later.
_REFUSED_HEADERS = ("eta", "group", "chord")
_REFUSED_EMBED = ("callbacks", "errbacks", "chain", "chord")


@dataclass(frozen=True)
class EntryPoint:
    """How a task may be called: from which queue (None: by no message), and with which arguments."""

    queue: str | None
    arguments: frozenset[str]


@dataclass(frozen=True)
class ReceivedMessage:
    """A message as a transport delivers it. `queue` is the one that it was taken from."""

    headers: Any
    body: Any
    content_type: Any
    content_encoding: Any
    queue: str


@dataclass(frozen=True)
class AwaitedAnswer:
    """Where the answer to a message goes: to the address of its sender, or stored under the message's id."""

    id: str
    address: str | None = None


@dataclass(frozen=True)
class Admitted:
    """A call of a task that this release has."""

    task: str
    id: str
    arguments: dict[str, Any]
    headers: dict[str, Any]


@dataclass(frozen=True)
class Unknown:
    """A valid call of a task that this release does not have."""

    task: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Refused:
    """A message that is refused: the task that it names, the reason, and its shape."""

    task: str
    reason: str
    message_id: str | None
    payload: dict[str, Any]


Verdict = Admitted | Unknown | Refused


def judge(message: ReceivedMessage, entry_points: Mapping[str, EntryPoint]) -> Verdict:
    """Decide what happens to a message. Never raises, whatever the message contains."""
    headers = message.headers if isinstance(message.headers, dict) else {}
    raw = _bytes(message.body)
    if isinstance(headers.get("fault"), dict):
        return _refused_by_the_channel(headers["fault"])
    arguments: Any = None
    try:
        task, id_ = _checked_header(headers)
        arguments = _arguments(message, raw)
        if task not in entry_points and _OURS.fullmatch(task):
            return Unknown(task, arguments)
        if (mismatch := mismatch_of(entry_points.get(task), message.queue, arguments)) is not None:
            raise FaultError(mismatch)
        return Admitted(task, id_, arguments, _passed_on(headers))
    except FaultError as fault:
        shape = {"headers": redacted(headers), "arguments": redacted(arguments)} | fingerprint(raw)
        return Refused(_claimed_task(headers.get("task")), str(fault), message_id_of(arguments), shape)


def _bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode(errors="replace")
    return bytes(body) if isinstance(body, (bytes, bytearray, memoryview)) else b""


def mismatch_of(entry_point: EntryPoint | None, queue: str, arguments: dict[str, Any]) -> str | None:
    """Return why a task may not be called from this queue with these arguments, or None."""
    if entry_point is None or entry_point.queue is None:
        return "there is no such task for messages from outside"
    if entry_point.queue != queue:
        return f"this task is taken from the queue {entry_point.queue} only"
    if unexpected := arguments.keys() - entry_point.arguments:
        expected = _expected_arguments(entry_point)
        return f"{len(unexpected)} keyword arguments that the task does not have; send {expected}"
    return None


def _expected_arguments(entry_point: EntryPoint) -> str:
    return '{"request": {...}}' if "request" in entry_point.arguments else "none"


def message_id_of(arguments: Any) -> str | None:
    """Return the message id of a command, or None when it has no valid one."""
    try:
        return str(UUID(str(arguments["request"]["message_id"])))
    except (TypeError, KeyError, ValueError):
        return None


def _refused_by_the_channel(fault: dict[str, Any]) -> Refused:
    shape = fault.get("shape")
    return Refused(
        _claimed_task(fault.get("task")),
        str(fault.get("reason")),
        None,
        shape if isinstance(shape, dict) else {},
    )


def _claimed_task(task: Any) -> str:
    return task if isinstance(task, str) and _NAME.fullmatch(task) else "unknown"


def _checked_header(headers: dict[str, Any]) -> tuple[str, str]:
    task, id_ = headers.get("task"), headers.get("id")
    if not isinstance(task, str) or not _NAME.fullmatch(task):
        raise FaultError("headers.task is missing: name one of this service's tasks")
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        raise FaultError("headers.id is missing: send a fresh uuid")
    if not _is_time_limit(headers.get("timelimit")):
        raise FaultError("headers.timelimit must be [hard, soft] in seconds, or be left out")
    for name in _REFUSED_HEADERS:
        if headers.get(name):
            raise FaultError(f"headers.{name} is not accepted: this service decides times and order itself")
    _expiry(headers.get("expires"))
    return task, id_


def _is_time_limit(limits: Any) -> bool:
    if limits is None:
        return True
    return (
        isinstance(limits, list)
        and len(limits) == 2
        and all(one is None or (isinstance(one, (int, float)) and one > 0) for one in limits)
    )


def _expiry(expires: Any) -> str | None:
    if expires is None:
        return None
    try:
        instant = datetime.fromisoformat(expires)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (TypeError, ValueError, OverflowError):
        raise FaultError("headers.expires must be an instant in ISO 8601 with an offset") from None


def _arguments(message: ReceivedMessage, raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_BODY_BYTES:
        raise FaultError(f"the body is larger than {MAX_BODY_BYTES} bytes")
    if message.content_type != "application/json":
        raise FaultError("content-type must be application/json")
    if str(message.content_encoding).lower() not in {"utf-8", "utf8"}:
        raise FaultError("content-encoding must be utf-8")
    payload = read_json(raw, "the body")
    if not isinstance(payload, list) or len(payload) != 3:
        raise FaultError("the body must be a list of three: [[], {arguments}, {}]")
    args, kwargs, embed = payload
    if not isinstance(args, list) or not isinstance(kwargs, dict) or not isinstance(embed, dict | None):
        raise FaultError("the body must be a list, an object and an object: [[], {arguments}, {}]")
    if args:
        raise FaultError("positional arguments are not accepted: send keyword arguments")
    for name in _REFUSED_EMBED:
        if embed and embed.get(name):
            raise FaultError(f"{name} are not accepted: this service decides what follows")
    if not all(map(_storable, texts_in(kwargs))):
        raise FaultError("the body holds a NUL character or half a character")
    return kwargs


def _storable(text: str) -> bool:
    return _UNSTORABLE.search(text) is None


def awaited_id(headers: Any, is_awaited_by_default: bool = False) -> str | None:
    """Return the id of a message whose sender waits for the answer, or None.

    `is_awaited_by_default`: whether the sender waits when the headers do not say so.
    """
    if not isinstance(headers, dict):
        return None
    if isinstance(headers.get("fault"), dict):
        headers = headers["fault"]
    id_, ignores = headers.get("id"), headers.get("ignore_result")
    is_awaited = ignores is False or (ignores is None and is_awaited_by_default)
    return id_ if is_awaited and isinstance(id_, str) and _ID.fullmatch(id_) else None


def _passed_on(headers: dict[str, Any]) -> dict[str, Any]:
    relatives = {name: headers.get(name) for name in ("root_id", "parent_id")}
    traces = {name: headers.get(name) for name in _TRACE_HEADERS}
    return {
        "expires": _expiry(headers.get("expires")),
        "ignore_result": headers.get("ignore_result") is not False,
        **{name: one for name, one in relatives.items() if isinstance(one, str) and _ID.fullmatch(one)},
        **{name: one for name, one in traces.items() if isinstance(one, str) and _TRACE.fullmatch(one)},
    }


def replacement_call(
    verdict: Verdict, queue: str, fresh_id: str, answer: AwaitedAnswer | None = None
) -> Admitted:
    """Return the call that replaces a message: its own, or one of the guard's tasks.

    A guard's task has a fresh id, unless the sender of the message waits for an answer under its own.
    """
    headers = {"ignore_result": answer is None}
    if isinstance(verdict, Admitted):
        return replace(verdict, headers=verdict.headers | headers)
    id_ = fresh_id if answer is None else answer.id
    if isinstance(verdict, Unknown):
        content = {"task": verdict.task, "queue": queue, "arguments": verdict.arguments}
        return Admitted(PARK, id_, content, headers)
    return Admitted(DEAD_LETTER, id_, asdict(verdict) | {"queue": queue}, headers)


def headers_of(call: Admitted) -> dict[str, Any]:
    """Return the only headers that Celery reads of a message."""
    names = {"lang": "py", "task": call.task, "id": call.id, "argsrepr": "()", "kwargsrepr": "{}"}
    return call.headers | names


def body_of(call: Admitted) -> bytes:
    """Return a body that has only the keyword arguments of the call."""
    return json.dumps([[], call.arguments, {}]).encode()
