"""Meeting platforms: the interface of all, and the one over this project's documented HTTP contract.

The contract is docs/meeting-platform.openapi.yaml. Nothing here knows the database.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from types import TracebackType
from typing import Protocol, Self, TypeVar
from uuid import UUID

import httpx2
from pydantic import TypeAdapter, ValidationError

from booking_tasks.enums import PutOffReason
from booking_tasks.kit.errors import EffectNotDoneError, EffectRefusedError, EffectUnknownError
from booking_tasks.kit.instants import to_iso
from booking_tasks.meetings.rules import AttendanceReport, ListedRoom, Room, RoomSpec

#: The largest answer that is read, in bytes: of one room, and of a report or a week's list of rooms.
ONE_ROOM, MANY = 64 * 1024, 8 * 1024 * 1024
_LIST_WINDOW = timedelta(days=7)

#: Final by their class, yet about the moment and not the request: RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4.
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
#: About our account and not about the room (RFC 9110 15.5.2, 15.5.4, 15.5.8).
_NOT_LET_IN = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}
)
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.LocalProtocolError,
    httpx2.UnsupportedProtocol,
)

AnswerT = TypeVar("AnswerT")

_room: TypeAdapter[Room] = TypeAdapter(Room)
_report: TypeAdapter[AttendanceReport] = TypeAdapter(AttendanceReport)
_list: TypeAdapter[list[ListedRoom]] = TypeAdapter(list[ListedRoom])


class MeetingPlatform(Protocol):
    """A platform that has rooms. Every call may be repeated under its key without a second effect.

    Each raises EffectNotDoneError (try later), EffectRefusedError (never) or EffectUnknownError
    (the reply was lost; repeat under the same key).
    """

    def ensure(self, key: str, spec: RoomSpec) -> Room:
        """Make the session's room, or change its times to the spec's; returns the room either way."""

    def end(self, key: str, session_id: UUID) -> None:
        """Close the session's room; a room that is already closed is no error."""

    def attendance(self, session_id: UUID) -> AttendanceReport | None:
        """What was seen of the session's room; None when the platform does not know it."""

    def rooms(self, start: datetime, end: datetime) -> Sequence[ListedRoom]:
        """Every room that is to start from `start` until before `end`."""


@cache
def _tls() -> ssl.SSLContext:
    """Which certificates are trusted; reading them takes 30 ms, so once a process."""
    return httpx2.create_ssl_context()


class HttpMeetingPlatform:
    """The platform over HTTP. Keep one instance for a batch of calls and close it (`with`).

    `timeout` bounds each wait for the network, and the reading of one answer's body as a whole.
    Proxies and `.netrc` of the environment are not consulted; certificate settings are.
    """

    def __init__(self, url: str, token: str | None, timeout: timedelta) -> None:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._seconds = timeout / timedelta(seconds=1)
        self._client = httpx2.Client(
            base_url=url.rstrip("/"),
            headers=headers,
            timeout=self._seconds,
            follow_redirects=False,
            trust_env=False,
            verify=_tls(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ensure(self, key: str, spec: RoomSpec) -> Room:
        """PUT /rooms/{session_id}."""
        body = spec.model_dump_json(exclude={"session_id"}).encode()
        status, answer = self._call("PUT", f"/rooms/{spec.session_id}", key=key, body=body)
        _expect(status, {HTTPStatus.OK, HTTPStatus.CREATED})
        return _read(_room, answer)

    def end(self, key: str, session_id: UUID) -> None:
        """DELETE /rooms/{session_id}."""
        status, _ = self._call("DELETE", f"/rooms/{session_id}", key=key)
        _expect(status, {HTTPStatus.OK, HTTPStatus.NO_CONTENT} | _GONE)

    def attendance(self, session_id: UUID) -> AttendanceReport | None:
        """GET /rooms/{session_id}/attendance."""
        status, answer = self._call("GET", f"/rooms/{session_id}/attendance", limit=MANY)
        _expect(status, {HTTPStatus.OK} | _GONE)
        return None if status in _GONE else _read(_report, answer)

    def rooms(self, start: datetime, end: datetime) -> list[ListedRoom]:
        """GET /rooms, week by week, so that no answer grows with the horizon."""
        found: list[ListedRoom] = []
        while start < end:
            until = min(start + _LIST_WINDOW, end)
            window = {"from": _instant(start), "until": _instant(until)}
            status, answer = self._call("GET", "/rooms", params=window, limit=MANY)
            _expect(status, {HTTPStatus.OK})
            page = _read(_list, answer)
            found += page
            start = until
        return found

    def _call(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        limit: int = ONE_ROOM,
    ) -> tuple[int, bytes]:
        headers = {} if key is None else {"Idempotency-Key": key}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            with self._client.stream(method, path, headers=headers, content=body, params=params) as answer:
                return answer.status_code, self._body(answer, limit)
        except _NEVER_SENT as error:
            text = f"the meeting platform was not reached: {_name(error)}"
            raise EffectNotDoneError(text, PutOffReason.UNREACHABLE) from error
        except httpx2.HTTPError as error:
            raise EffectUnknownError(f"the meeting platform's reply was lost: {_name(error)}") from error

    def _body(self, answer: httpx2.Response, limit: int) -> bytes:
        """The answer's body as it came: compression was not asked for, and nothing is unpacked.

        An answer that is too slow or too large is cut off.
        """
        deadline = time.monotonic() + self._seconds
        body = bytearray()
        for piece in answer.iter_raw():
            body += piece
            if len(body) > limit:
                raise EffectRefusedError(f"the meeting platform's answer is larger than {limit} bytes")
            if time.monotonic() > deadline:
                raise EffectUnknownError("the meeting platform's reply was lost: it took too long")
        return bytes(body)


def _name(error: Exception) -> str:
    return type(error).__name__


def _instant(instant: datetime) -> str:
    return to_iso(instant).replace("+00:00", "Z")


def _expect(status: int, expected: set[HTTPStatus]) -> None:
    """Return if the status is expected; otherwise raise the error that says what to do about it."""
    if status in expected:
        return
    if status in _NOT_LET_IN:
        text = f"the meeting platform answered {status}: it does not accept BOOKING_MEETING_TOKEN"
        raise EffectNotDoneError(text, PutOffReason.LOGIN_REFUSED)
    if status in _LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        is_limit = status == HTTPStatus.TOO_MANY_REQUESTS
        reason = PutOffReason.RATE_LIMITED if is_limit else PutOffReason.NOT_READY
        raise EffectNotDoneError(f"the meeting platform answered {status}: try later", reason)
    raise EffectRefusedError(f"the meeting platform answered {status}")


def _read(shape: TypeAdapter[AnswerT], answer: bytes) -> AnswerT:
    """The validated answer. The error names the invalid fields and never their content."""
    try:
        return shape.validate_json(answer)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)[:5]
        text = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'answer'}: {one['msg'].removeprefix('Value error, ')}"
            for one in faults
        )
        raise EffectRefusedError(f"the meeting platform's answer is malformed: {text}") from None
