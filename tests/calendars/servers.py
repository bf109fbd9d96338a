"""HTTPS servers on loopback that hold a calendar, or misbehave as configured."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CERTIFICATE = Path(__file__).parent / "loopback.pem"
#: Names that the certificate is for, beside localhost and 127.0.0.1.
HERE, ELSEWHERE = "calendar.example", "elsewhere.example"


@dataclass
class RecordedRequest:
    """One request as it arrived, and at which of this host's addresses."""

    path: str
    headers: dict[str, str]
    at: str


@dataclass
class FakeCalendar:
    """What the server holds and how it behaves. `misbehave` takes the place of an ordinary answer."""

    content: bytes = b""
    misbehave: Callable[[BaseHTTPRequestHandler], None] | None = None
    requests: list[RecordedRequest] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"https://{HERE}:{self.port}/private-token/basic.ics"

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """An ordinary answer."""
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def answering(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """A server that always answers so; `Content_Encoding` is written Content-Encoding."""
    written = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: answer(handler, status, body, **written)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        calendar = self.server.calendar
        at = str(self.connection.getsockname()[0])
        calendar.requests.append(RecordedRequest(self.path, dict(self.headers), at))
        if calendar.misbehave is not None:
            calendar.misbehave(self)
        elif self.headers.get("If-None-Match") == calendar.etag:
            answer(self, 304)
        else:
            answer(self, 200, calendar.content, **{"ETag": calendar.etag, "Content-Type": "text/calendar"})

    def do_PROPFIND(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_PUT(self) -> None:
        """The owner's own program changes the calendar."""
        self.server.calendar.content = self.rfile.read(int(self.headers["Content-Length"]))
        answer(self, 204)

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests read `requests`."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    calendar: FakeCalendar

    def finish_request(self, request: Any, client_address: Any) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        super().finish_request(context.wrap_socket(request, server_side=True), client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests are about."""


@contextmanager
def calendar_server(content: bytes = b"", address: str = "127.0.0.1") -> Iterator[FakeCalendar]:
    """A running server with what it holds."""
    with _Server((address, 0), _Handler) as server:
        server.calendar = FakeCalendar(content, port=int(server.server_address[1]))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.calendar
        finally:
            server.calendar.over.set()
            server.shutdown()
            thread.join()


class Names:
    """A name server: host -> its answers, one a lookup, the last one again and again."""

    def __init__(self, **answers: list[str]) -> None:
        self._answers = {name.replace("_", "."): list(found) for name, found in answers.items()}
        self.lookups: list[str] = []

    def __call__(self, host: str, port: int, **_: Any) -> Iterable[tuple[Any, ...]]:
        self.lookups.append(host)
        found = self._answers[host]
        address = found.pop(0) if len(found) > 1 else found[0]
        return [(None, None, None, "", (address, port))]
