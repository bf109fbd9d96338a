"""Clients that are slow, silent or gone do not keep others from the pages."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx2
import pytest

from booking_tasks.kit.settings import settings
from booking_tasks.web.connections import DeadlineProtocol
from tests.web.conftest import Web

#: More than the server took before, and more than once.
MANY = 120

#: What a client sends at first and then no more, or byte by byte.
BEGINNINGS = {
    "nothing": b"",
    "half a line": b"GET /heal",
    "half the headers": b"GET /healthz HTTP/1.1\r\nHost: b.example.org\r\n",
    "half a body": b"POST /answers/x HTTP/1.1\r\nHost: b.example.org\r\nContent-Length: 13\r\n\r\nanswer",
}


@pytest.fixture(autouse=True)
def _short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeadlineProtocol, "request_seconds", 1.5)


@pytest.fixture
def connections() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def connect(opened: ExitStack, beginning: bytes) -> socket.socket:
    """A connection to the pages that has sent something; it is closed with the test."""
    address = urlsplit(str(settings().public_url))
    connection = opened.enter_context(socket.create_connection((address.hostname, address.port), timeout=20))
    connection.sendall(beginning)
    return connection


def is_cut_off(connection: socket.socket) -> bool:
    """Wait until the server ends the connection; False when it answers instead."""
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
def test_many_clients_that_stop_are_cut_off_and_hold_up_nobody(
    web: Web, connections: ExitStack, beginning: bytes
) -> None:
    stopped = [connect(connections, beginning) for _ in range(MANY)]
    assert web.get("/healthz").status_code == 200
    assert all(is_cut_off(one) for one in stopped)
    # The connection of `web` has been idle as long as the others.
    assert httpx2.get(f"{settings().public_url}/healthz").status_code == 200


def test_a_client_that_sends_byte_by_byte_has_no_more_time(web: Web, connections: ExitStack) -> None:
    slow = connect(connections, b"GET /healthz HTTP/1.1\r\nHost: ")
    slow.settimeout(0.1)
    for _ in range(200):
        try:
            slow.sendall(b"b")
            if slow.recv(1000) == b"":
                return
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return
    pytest.fail("a request that never ends was waited for")


def test_a_kept_connection_has_the_whole_time_for_each_request(web: Web, connections: ExitStack) -> None:
    kept = connect(connections, b"")
    for _ in range(3):
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: b.example.org\r\n\r\n")
        response = b""
        while not response.endswith(b"ok\n"):
            response += kept.recv(4000)
        assert response.startswith(b"HTTP/1.1 200")
    assert is_cut_off(kept)
