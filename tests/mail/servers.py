"""Mail servers on loopback: one that keeps what it gets, one that fails in a chosen moment."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from booking_tasks.kit.settings import settings
from booking_tasks.ops.servers import free_port

#: What a scripted server does instead of answering.
DROP, STALL, DRIP = "drop", "stall", "drip"


@dataclass
class Mailed:
    """One message as it arrived, with its envelope."""

    sender: str
    recipients: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = BytesParser(policy=default).parsebytes(self.raw)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class Sink:
    """Keeps every message; the SMTP server calls `handle_DATA`."""

    mails: list[Mailed] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(Mailed(envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
        return "250 OK"

    def to(self, address: str) -> list[Mailed]:
        return [mail for mail in self.mails if mail.recipients == [address]]


@contextmanager
def sink_server(**options: Any) -> Iterator[tuple[Sink, int]]:
    """A running server with its port."""
    sink = Sink()
    port = options.pop("port", None) or free_port()
    controller = Controller(sink, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield sink, controller.port
    finally:
        controller.stop()


@dataclass
class Script:
    """What to do at `greeting`, `EHLO`, `MAIL`, `RCPT`, `DATA`, `body` or `QUIT`: a reply, or a failure.

    `turns` are used up one conversation after the other; the last one stays.
    """

    turns: list[dict[str, str]]
    seen: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


_USUAL = {
    "greeting": "220 here",
    "EHLO": "250 here",
    "MAIL": "250 fine",
    "RCPT": "250 fine",
    "DATA": "354 go on",
    "body": "250 taken",
    "QUIT": "221 bye",
}


class _Conversation(socketserver.StreamRequestHandler):
    server: _ScriptedServer

    def handle(self) -> None:
        script = self.server.script
        turn = _USUAL | (script.turns.pop(0) if len(script.turns) > 1 else script.turns[0])
        if not self._answer(turn["greeting"]):
            return
        while line := self.rfile.readline():
            command = line.split()[0].decode().upper()
            script.seen.append(command)
            if not self._answer(turn[command]):
                return
            if command == "DATA" and turn["DATA"].startswith("354"):
                body = bytearray()
                while not body.endswith(b"\r\n.\r\n"):
                    body += self.rfile.readline()
                script.bodies.append(bytes(body[:-3]))
                if not self._answer(turn["body"]):
                    return

    def _answer(self, what: str) -> bool:
        if what == DROP:
            return False
        if what == STALL:
            self.server.script.over.wait(30)
            return False
        if what == DRIP:
            while not self.server.script.over.wait(0.05):
                self.wfile.write(b"2")
            return False
        self.wfile.write(what.encode() + b"\r\n")
        return True


class _ScriptedServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.script = script

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what these tests are about."""


@contextmanager
def scripted_server(*turns: dict[str, str]) -> Iterator[tuple[Script, int]]:
    """A running server that follows the script, with its port."""
    script = Script(list(turns) or [{}])
    with _ScriptedServer(script) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield script, int(server.server_address[1])
        finally:
            script.over.set()
            server.shutdown()
            thread.join()


def use_mail_server(monkeypatch: pytest.MonkeyPatch, port: int, timeout: str = "2s") -> None:
    """Point this process's settings to a server on loopback, and let failed jobs try again at once."""
    monkeypatch.setenv("BOOKING_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("BOOKING_SMTP_PORT", str(port))
    monkeypatch.setenv("BOOKING_SMTP_TIMEOUT", timeout)
    monkeypatch.setenv("BOOKING_RETRY_BASE", "0.000001s")
    monkeypatch.setenv("BOOKING_RETRY_CAP", "0.000001s")
    settings.cache_clear()


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    """What arrives at the mail server that the settings point to."""
    with sink_server() as (sink, port):
        use_mail_server(monkeypatch, port)
        yield sink
    settings.cache_clear()
