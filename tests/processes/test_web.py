"""The web process: its start, its log and its end."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from sqlalchemy import select, update

import booking_tasks.intake.tasks  # noqa: F401 - what the inbox takes up again is a message of that room
from booking_tasks.inbox.tasks import recover_inbox
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.kit.signed_links import Grant, Links
from booking_tasks.models import ConsultationRequest, Event, InboxMessage
from booking_tasks.ops.servers import free_port
from booking_tasks.ops.service_processes import ServiceProcesses
from tests.accounts import WEB, as_role
from tests.builders import NOW
from tests.processes.pending_confirmation import PendingConfirmation, request_confirmation
from tests.processes.rows import wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


def answers(address: str) -> bool:
    """Whether the room is there and well."""
    try:
        return httpx2.get(f"{address}/healthz", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


def test_the_web_process_touches_its_heartbeat_answers_logs_no_address_and_stops(
    stack: ServiceProcesses, own_database: str
) -> None:
    port, token = free_port(), uuid4().hex
    address = f"http://127.0.0.1:{port}"
    stack.environment |= {
        "DATABASE_URL": as_role(own_database, WEB),
        "BOOKING_PUBLIC_URL": address,
        "BOOKING_LINK_SECRET": uuid4().hex,
    }
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


def test_killed_while_it_answers_nothing_is_half_done_and_the_answer_is_not_lost(
    stack: ServiceProcesses, own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    address, secret = f"http://127.0.0.1:{port}", uuid4().hex
    stack.environment |= {
        "DATABASE_URL": as_role(own_database, WEB),
        "BOOKING_PUBLIC_URL": address,
        "BOOKING_LINK_SECRET": secret,
        "BOOKING_CLOCK": "stepped",
    }
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    settings.cache_clear()
    pending = request_confirmation()
    link = Links(address, secret).url(
        "answers",
        Grant(
            "answers", pending.confirmation_request_id, pending.consultant_user_id, NOW + timedelta(hours=12)
        ),
    )
    process = stack.web(port)
    wait_for(lambda: answers(address), "the web room")
    with transaction() as rival, ThreadPoolExecutor(1) as pool:
        rival.execute(
            select(ConsultationRequest.id)
            .where(ConsultationRequest.id == pending.request_id)
            .with_for_update()
        )
        click = pool.submit(httpx2.post, link, data={"answer": "accept"}, timeout=60)
        wait_for(lambda: kept() == ["received"], "the answer written down")  # and now it waits for the row
        process.kill()
        with pytest.raises(httpx2.HTTPError):
            click.result(60)
    assert pending.request().status == "pending_confirmation"
    assert events(pending) == ["request.submitted", "request.confirmation_requested"]

    with transaction() as db:  # a lease later
        db.execute(update(InboxMessage).values(attempted_at=InboxMessage.attempted_at - timedelta(days=1)))
    wait_for(lambda: recover_inbox() == 0 and kept() == ["done"], "the answer taken up again")
    assert pending.request().status == "scheduled"
    assert events(pending)[2:] == ["session.scheduled"]
    with transaction() as db:
        doors = set(db.execute(select(Event.entry_point).where(Event.type == "session.scheduled")).scalars())
    assert doors == {"web"}

    stack.web(port, "another")
    wait_for(lambda: answers(address), "another web room")
    shown = httpx2.post(link, data={"answer": "accept"}, timeout=60, follow_redirects=True)
    assert (shown.status_code, "You have accepted" in shown.text) == (200, True)
    assert events(pending)[2:] == ["session.scheduled"]


def kept() -> list[str]:
    """The states of all inbound messages."""
    with transaction() as db:
        return list(db.execute(select(InboxMessage.state)).scalars())


def events(pending: PendingConfirmation) -> list[str]:
    """What happened to a request, in order."""
    with transaction() as db:
        return list(
            db.execute(
                select(Event.type)
                .where(Event.consultation_request_id == pending.request_id)
                .order_by(Event.position)
            ).scalars()
        )


def test_without_an_address_it_does_not_start_and_says_why(own_database: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "booking_tasks.ops", "web"],
        cwd=tmp_path,
        env=os.environ | {"DATABASE_URL": own_database},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 1
    assert ran.stderr == (
        "booking-tasks: BOOKING_PUBLIC_URL: is needed here: without it no mail contains a link\n"
    )
