"""A fake meeting platform on this machine, for the demo and the tests.

It serves docs/meeting-platform.openapi.yaml over real HTTP and fails on request:

    POST /_control           {"fail_next": 2, "fail_method": "PUT", "status": 503,
                              "delay_seconds": 0.5, "repeat_answers": true, "lose_reply_next": 1}
    POST /_control/presence  {"session_id": "...", "complete": true, "observations": [...]}
    GET  /_ledger            every call of the contract that it received, in order

The next `fail_next` calls (of `fail_method`, when it is set) do nothing and answer `status`. The next
`lose_reply_next` calls do their work, then drop the connection. Each answer is sent `delay_seconds` after the
work is done, or at the next control call. With `repeat_answers`, each entry of a list occurs twice.

Run it as `python -m booking_tasks.ops.fake_meeting_platform --port 8099 --state rooms.json`.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import sys
import threading
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from booking_tasks.ops.fake_meeting_rooms import Control, PlatformResponse, Presence, Rooms, error_response

_MAX_BODY_BYTES = 1024 * 1024


class FakeMeetingPlatform:
    """The platform in this process for a `with` block; `url` is its address (loopback only).

    With a `token`, calls of the contract need it as bearer token. `port` 0 takes a free port.
    """

    def __init__(
        self,
        port: int = 0,
        state: Path | None = None,
        token: str | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._lock = threading.Lock()
        self._control = Control()
        self._release = threading.Event()
        self._token = token
        self._server = _Server((host, port), _Handler)
        self._server.platform = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._rooms = Rooms(self.url, state)
        self._rooms.load()
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="fake-meeting-platform"
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.control()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def control(self, **changes: Any) -> None:
        """Change how the platform fails; delayed answers are sent at once."""
        with self._lock:
            self._control = Control.model_validate(self._control.model_dump() | changes)
            self._release.set()
            self._release = threading.Event()

    def presence(
        self, session_id: UUID, observations: list[dict[str, Any]], complete: bool | None = None
    ) -> None:
        """Add observations of a session's room."""
        added = Presence(session_id=session_id, observations=observations, complete=complete)
        with self._lock:
            self._rooms.add_presence(added)
            self._rooms.save()

    def ledger(self) -> list[dict[str, Any]]:
        """Return every call: method, path, idempotency_key, body, status (None: no reply was sent), when."""
        with self._lock:
            return [dict(call) for call in self._rooms.ledger]

    def rooms(self) -> dict[UUID, dict[str, Any]]:
        """Return the open rooms by session."""
        with self._lock:
            return {UUID(session_id): dict(room) for session_id, room in self._rooms.rooms.items()}

    def forget(self, session_id: UUID) -> None:
        """Lose a room, as a platform may do."""
        with self._lock:
            del self._rooms.rooms[str(session_id)]
            self._rooms.save()

    def call(self, method: str, target: str, headers: Any, body: bytes) -> PlatformResponse | None:
        """Answer one call of the contract with the failures that are set; None drops the connection."""
        key = headers.get("Idempotency-Key")
        with self._lock:
            answer = self._worked(method, target, key, headers.get("Authorization"), body)
            lost = self._control.lose_reply_next > 0
            if lost:
                self._control.lose_reply_next -= 1
            self._rooms.ledger.append(
                {
                    "method": method,
                    "path": target,
                    "idempotency_key": key,
                    "body": body.decode("utf-8", "replace"),
                    "status": None if lost else int(answer.status),
                    "when": datetime.now(UTC).isoformat(),
                }
            )
            self._rooms.save()
            delay, release = self._control.delay_seconds, self._release
        if delay:
            release.wait(delay)
        return None if lost else answer

    def _worked(
        self, method: str, target: str, key: str | None, authorization: str | None, body: bytes
    ) -> PlatformResponse:
        if self._control.fail_next > 0 and self._control.fail_method in (None, method):
            self._control.fail_next -= 1
            return error_response(self._control.status, "requested_failure", "this failure was requested")
        if self._token is not None and not secrets.compare_digest(
            (authorization or "").encode(), f"Bearer {self._token}".encode()
        ):
            return error_response(HTTPStatus.UNAUTHORIZED, "unauthorized", "a bearer token is required")
        answer = self._rooms.answer(method, target, key, body)
        return _twice(answer) if self._control.repeat_answers else answer

    def command(self, target: str, body: bytes) -> PlatformResponse:
        """Answer a control call."""
        try:
            sent = json.loads(body or b"{}")
            if target == "/_control":
                self.control(**sent)
            else:
                added = Presence.model_validate(sent)
                self.presence(added.session_id, added.observations, added.complete)
        except (ValueError, TypeError) as error:
            return error_response(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", str(error))
        return PlatformResponse(HTTPStatus.NO_CONTENT)


def _twice(answer: PlatformResponse) -> PlatformResponse:
    if isinstance(answer.body, list):
        return PlatformResponse(answer.status, answer.body * 2)
    if isinstance(answer.body, dict) and "observations" in answer.body:
        return PlatformResponse(
            answer.status, answer.body | {"observations": answer.body["observations"] * 2}
        )
    return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    platform: FakeMeetingPlatform

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a caller that disconnected before its answer; report any other error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY_BYTES:
            self.close_connection = True
            self._send(
                error_response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "the body is too large")
            )
        else:
            self._send(self._respond(self.rfile.read(length)))

    def _respond(self, body: bytes) -> PlatformResponse | None:
        platform = self.server.platform
        match self.command, self.path:
            case "GET", "/_ledger":
                return PlatformResponse(HTTPStatus.OK, platform.ledger())
            case "POST", ("/_control" | "/_control/presence") as target:
                return platform.command(target, body)
        return platform.call(self.command, self.path, self.headers, body)

    def _send(self, answer: PlatformResponse | None) -> None:
        if answer is None:
            self.close_connection = True
            return
        body = json.dumps(answer.body).encode() if answer.body is not None else b""
        self.send_response(answer.status)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= 500:
            self.send_header("Retry-After", "1")
        if answer.body is not None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        """Write no log: the ledger contains every call."""


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m booking_tasks.ops.fake_meeting_platform")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--state", type=Path, default=None, help="file for rooms and calls")
    parser.add_argument("--token", default=None, help="bearer token that calls need")
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with FakeMeetingPlatform(options.port, options.state, options.token, options.host) as platform:
        sys.stdout.write(f"meeting platform at {platform.url}\n")
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    main()
