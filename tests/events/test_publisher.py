"""The effect on real servers: once in the stream, and what a failure means."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from redis import Redis

from booking_tasks.events.publisher import REMEMBERED, Publisher, Targets
from booking_tasks.kit.errors import EffectNotDoneError, EffectUnknownError


def event() -> bytes:
    return json.dumps({"id": str(uuid4()), "type": "booking.session.started.v1", "data": {}}).encode()


def targets(url: str, stream: str, length: int = 1000) -> Targets:
    return Targets(redis_url=url, stream=stream, stream_length=length, task=None, queue=None)


def publish(to: Targets, *events: bytes) -> None:
    with Publisher(to, send_task=_unused) as publisher:
        for one in events:
            publisher.publish(one)


def _unused(*_: Any, **__: Any) -> None:
    raise AssertionError("no task is configured")


@pytest.fixture
def server(valkey: str) -> Iterator[Redis]:
    with closing(Redis.from_url(valkey)) as client:
        yield client


@pytest.fixture
def stream() -> str:
    return f"events:{uuid4().hex}"


def entries(server: Redis, stream: str) -> list[bytes]:
    found: Any = server.xrange(stream)
    return [fields[b"event"] for _, fields in found]


def test_an_event_is_in_the_stream_once_however_often_it_is_published(
    valkey: str, server: Redis, stream: str
) -> None:
    first, second = event(), event()
    publish(targets(valkey, stream), first, second, first)
    publish(targets(valkey, stream), first)
    assert entries(server, stream) == [first, second]


def test_rival_publishers_add_an_event_once(valkey: str, server: Redis, stream: str) -> None:
    one = event()
    rivals = [threading.Thread(target=publish, args=(targets(valkey, stream), *[one] * 20)) for _ in range(4)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert entries(server, stream) == [one]


def test_the_stream_remembers_an_event_for_a_week_and_no_longer(
    valkey: str, server: Redis, stream: str
) -> None:
    one = event()
    publish(targets(valkey, stream), one)
    left: Any = server.ttl(f"{{{stream}}}:has:{json.loads(one)['id']}")
    assert 0 < left <= REMEMBERED.total_seconds()
    assert left > REMEMBERED.total_seconds() - 60


def test_a_stream_is_cut_to_about_its_length(valkey: str, server: Redis, stream: str) -> None:
    publish(targets(valkey, stream, length=100), *(event() for _ in range(400)))
    length: Any = server.xlen(stream)
    assert 100 <= length < 300


def test_a_server_out_of_reach_means_certainly_not_done(stream: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(EffectNotDoneError):
        publish(targets(f"redis://127.0.0.1:{port}/0", stream), event())


def test_a_refusal_means_not_done_and_is_not_remembered_as_done(
    valkey: str, server: Redis, stream: str
) -> None:
    one = event()
    server.set(stream, "not a stream")
    with pytest.raises(EffectNotDoneError):
        publish(targets(valkey, stream), one)
    server.delete(stream)
    publish(targets(valkey, stream), one)
    assert entries(server, stream) == [one]


def test_a_lost_reply_is_unknown_and_the_repeat_adds_nothing(valkey: str, server: Redis, stream: str) -> None:
    one = event()
    publish(targets(valkey, stream), event())
    with replies_lost_after(b"EVALSHA", valkey) as url, pytest.raises(EffectUnknownError):
        publish(targets(url, stream), one)
    assert entries(server, stream)[-1] == one
    publish(targets(valkey, stream), one)
    assert entries(server, stream).count(one) == 1


@contextmanager
def replies_lost_after(command: bytes, url: str) -> Iterator[str]:
    """A proxy that hands a command on, waits for the server's reply and hangs up instead of passing it."""
    target = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, target.hostname, target.port, command))
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        thread.join(10)


def _serve(listener: socket.socket, host: str, port: int, command: bytes) -> None:
    client, _ = listener.accept()
    with client, socket.create_connection((host, port)) as server, suppress(ConnectionError):
        while received := client.recv(65536):
            server.sendall(received)
            answer = server.recv(65536)
            if command in received:
                return
            client.sendall(answer)
