"""Accounts of pushed elements: each must have exactly one end, and every end must have an element.

A message ends in one of these ways: a dead letter of the guard, with the fingerprint of what it refused;
parked, once however often it comes; too late, which only the log says; run, and then it has its answer or,
where nobody asked for one, its row in the inbox. One that its contract refuses is run and has a dead letter.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from booking_tasks.inbox.rules import body_hash
from booking_tasks.kit.redaction import redacted
from booking_tasks.ops.servers import ServerError, wait_until
from tests.messages.running_worker import RunningWorker

#: A queue and an element that was pushed onto it.
Pushed = tuple[str, bytes]

#: What comes of reading something else than a call as one.
_NO_CALL = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
_TOO_LATE = re.compile(r"Discarding revoked task: [\w.]+\[([^\]]+)\]")


@dataclass(frozen=True)
class _Call:
    """What an element asks for, as far as Python's own parser makes anything of it."""

    task: Any
    id: str
    awaited: bool
    arguments: dict[str, Any]

    @property
    def message_id(self) -> str:
        request = self.arguments.get("request")
        return str(request.get("message_id")) if isinstance(request, dict) else ""


class MessageAccounts:
    """What is there now, and to which of the elements it belongs."""

    def __init__(self, running_worker: RunningWorker, pushed: list[Pushed]) -> None:
        self._running_worker = running_worker
        self._dead_letters = Counter(_about(one) for one in running_worker.dead_letters())
        self._parked = Counter(
            (one["queue"], one["task"], one["body_hash"]) for one in running_worker.parked()
        )
        self._inbox = {str(one["message_id"]) for one in running_worker.rows("SELECT message_id FROM inbox")}
        self._too_late = Counter(_TOO_LATE.findall(running_worker.worker.log.read_text()))
        found = [(self._end_of(*one), one) for one in pushed]
        self.lost = [one for end, one in found if end is None]
        self.ends = Counter(end for end, _ in found if end is not None)

    @property
    def strange(self) -> list[Any]:
        """Letters and parked messages that belong to no element."""
        known = {one for one in self._parked if self._parked[one] > 1}
        return [*self._dead_letters.elements(), *(self._parked.keys() - known)]

    def _end_of(self, queue: str, element: bytes) -> str | None:
        body = _body(element)
        if any(self._take_dead_letter(("shape", queue, _sha256(one))) for one in (element, body)):
            return "refused"
        call = _call(element, body)
        return None if call is None else self._end_of_call(queue, call)

    def _end_of_call(self, queue: str, call: _Call) -> str | None:
        parked = (queue, str(call.task), _hash(call))
        if parked in self._parked:
            self._parked[parked] += 1  # counted beside the row itself: see `strange`
            return "parked"
        if self._too_late[call.id]:
            self._too_late[call.id] -= 1
            return "too late"
        request = call.arguments.get("request")
        invalid = self._take_dead_letter(("said", queue, str(call.task), _canonical(_payload(request))))
        answered = (
            self._running_worker.result_of(call.id) is not None
            if call.awaited
            else invalid or self._is_in(call)
        )
        if not answered:
            return None
        return "invalid" if invalid else "run"

    def _is_in(self, call: _Call) -> bool:
        return call.message_id in self._inbox

    def _take_dead_letter(self, about: tuple[str, ...]) -> bool:
        there = self._dead_letters[about] > 0
        self._dead_letters[about] -= there
        return there


def wait_for_accounts(
    running_worker: RunningWorker, pushed: list[Pushed], seconds: float = 30
) -> MessageAccounts:
    """The books once nothing is missing in them, or after so long."""
    with suppress(ServerError):  # what is missing then, the books say better
        wait_until(
            lambda: not MessageAccounts(running_worker, pushed).lost, "every element at its end", seconds
        )
    return MessageAccounts(running_worker, pushed)


def _about(dead_letter: dict[str, Any]) -> tuple[str, ...]:
    """What tells a letter from others: the fingerprint of what the guard refused, or what a task was sent."""
    payload = dead_letter["payload"]
    if "sha256" in payload:
        return "shape", dead_letter["entry_point"], payload["sha256"]
    return "said", dead_letter["entry_point"], dead_letter["task"], _canonical(payload)


def _hash(call: _Call) -> str:
    """What a call is parked under; nothing for one that cannot be kept."""
    with suppress(UnicodeEncodeError):
        return body_hash(str(call.task), call.arguments)
    return ""


def _payload(request: Any) -> dict[str, Any]:
    shape = redacted(request)
    return shape if isinstance(shape, dict) else {"payload": shape}


def _canonical(payload: dict[str, Any]) -> str:
    """The same text before and after PostgreSQL had it, to which -0.0 is 0.0."""
    read = json.loads(json.dumps(payload), parse_float=lambda digits: str(float(digits) + 0.0))
    return json.dumps(read, sort_keys=True)


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _body(element: bytes) -> bytes:
    """The body of an element, or nothing."""
    with suppress(*_NO_CALL):
        envelope = json.loads(element.decode())
        is_coded = envelope["properties"].get("body_encoding") == "base64"
        return base64.b64decode(envelope["body"]) if is_coded else str(envelope["body"]).encode()
    return b""


def _call(element: bytes, body: bytes) -> _Call | None:
    with suppress(*_NO_CALL):
        headers = json.loads(element.decode())["headers"]
        _, arguments, _ = json.loads(body)
        id_ = headers["id"].encode().decode()  # half a character is none
        return _Call(headers["task"], id_, headers.get("ignore_result") is False, dict(arguments))
    return None
