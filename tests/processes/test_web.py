"""The web room as a process: how it starts, what it writes down, how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from booking_tasks.ops.servers import free_port
from booking_tasks.ops.stack import Stack
from tests.processes.rows import wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


def answers(address: str) -> bool:
    """Whether the room is there and well."""
    try:
        return httpx2.get(f"{address}/healthz", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


def test_the_web_room_beats_answers_logs_no_address_and_ends_when_told(stack: Stack) -> None:
    port, token = free_port(), uuid4().hex
    address = f"http://127.0.0.1:{port}"
    stack.environment |= {"BOOKING_PUBLIC_URL": address, "BOOKING_LINK_SECRET": uuid4().hex}
    process = stack.web(port)
    stack.wait_ready()
    wait_for(lambda: answers(address), "the web room")

    assert httpx2.get(f"{address}/answers/{token}", timeout=5).status_code == 404
    assert httpx2.post(f"{address}/answers/{token}", data={"answer": "accept"}, timeout=5).status_code == 404
    assert process.end() == 0
    log = process.log.read_text()
    assert token not in log
    assert stack.environment["BOOKING_LINK_SECRET"] not in log
    assert "Traceback" not in log


def test_without_an_address_it_does_not_start_and_says_why(own_database: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "booking_tasks.ops", "web"],
        cwd=tmp_path, env=os.environ | {"DATABASE_URL": own_database},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert ran.returncode == 1
    assert ran.stderr == (
        "booking-tasks: BOOKING_PUBLIC_URL: is needed here: without it no letter carries a link\n"
    )
