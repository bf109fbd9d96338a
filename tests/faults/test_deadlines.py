"""A frozen server neither answers nor hangs up: no call outlives its deadline by more than a second."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from booking_tasks.kit.queues import BROKER_SECONDS
from booking_tasks.ops.servers import free_port, wait_until
from tests.faults.fault_injector import running
from tests.faults.running_service import Servers, listening

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

#: What the settings below allow each call, in seconds.
DEADLINES = {
    "client.send": BROKER_SECONDS,
    "client.send, first": BROKER_SECONDS,
    "client.send, to wait": BROKER_SECONDS,
    "receipt.outcome": 2.0,
    "wakeup.wake": BROKER_SECONDS,
    "an outcome stored": BROKER_SECONDS,
    "an event published": BROKER_SECONDS,
    "mail.send": 1.0,
    "platform.ensure": 1.0,
    "platform.end": 1.0,
    "platform.attendance": 1.0,
    "platform.rooms": 1.0,
    "a statement": 2.0,
    "a commit": 2.0,
    "a connection": 5.0,
    # The pool asks an idle connection whether it is well, as long as any statement, and then makes a new one.
    "a statement, after a rest": 2.0 + 5.0,
}


@pytest.fixture
def mail_server() -> Iterator[tuple[int, int]]:
    """An SMTP server in a process of its own: port and process id."""
    port = free_port()
    program = [sys.executable, "-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{port}"]
    with subprocess.Popen(program) as process:
        wait_until(lambda: listening(port), "the mail server's start", 60)
        yield port, process.pid
        process.kill()


@pytest.fixture
def platform() -> Iterator[tuple[int, int]]:
    """A meeting platform in a process of its own: port and process id."""
    port = free_port()
    program = [sys.executable, "-m", "booking_tasks.ops.fake_meeting_platform", "--port", str(port)]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: listening(port), "the platform's start", 60)
        yield port, process.pid
        process.kill()


def test_no_call_to_a_frozen_server_outlives_its_deadline(
    servers: Servers, mail_server: tuple[int, int], platform: tuple[int, int]
) -> None:
    database_url, redis_url = servers.fresh()
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "BOOKING_STATEMENT_TIMEOUT": "2s",
        "BOOKING_SMTP_PORT": str(mail_server[0]),
        "BOOKING_SMTP_TIMEOUT": "1s",
        "BOOKING_MEETING_URL": f"http://127.0.0.1:{platform[0]}",
        "BOOKING_MEETING_TIMEOUT": "1s",
    }
    pids = [running(servers.postgres).pid, running(servers.valkey).pid, mail_server[1], platform[1]]

    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.calls", *map(str, pids)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    took = json.loads(done.stdout.splitlines()[-1])
    assert took.keys() == DEADLINES.keys()
    late = {name: found for name, found in took.items() if found[0] > DEADLINES[name] + 1}
    assert late == {}
    # What came back at once waited for nobody, and would prove nothing.
    assert {name: found for name, found in took.items() if found[0] < 0.5} == {}


REFUSED = """
import sys, time
from uuid import uuid4
from booking_tasks.client import BookingClient, NotSentError
from booking_tasks.contracts import CancelRequest
from booking_tasks.wakeup import wake
from booking_tasks.kit.settings import settings

message = CancelRequest(message_id=uuid4(), actor="shop", request_id=uuid4())
client = BookingClient(settings().redis_url)
began = time.monotonic()
try:
    client.send(message)
except NotSentError:
    wake({"publish_event", "send_invite"})
    print(time.monotonic() - began)
"""


def test_a_broker_that_refuses_connections_is_not_retried_after_a_pause() -> None:
    refusing = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}

    ran = subprocess.run(
        [sys.executable, "-c", REFUSED],
        env=os.environ | refusing,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    # Left to itself, kombu pauses for 2 s and then for 4 before it gives either of the two up.
    assert float(ran.stdout.splitlines()[-1]) < 4
