"""`booking-tasks reply` as a mail server runs it: a mail on standard input, and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from uuid import uuid4

import pytest
from sqlalchemy import select

from booking_tasks.kit.database import transaction
from booking_tasks.models import InboxMessage
from booking_tasks.ops.servers import free_port
from booking_tasks.ops.service_processes import ServiceProcesses
from tests.processes.pending_confirmation import request_confirmation
from tests.replies.mails import AUTHSERV, WEBER, calendar, mail, through_border

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def pipe(raw: bytes, environment: dict[str, str], *switches: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "booking_tasks.ops", "reply", *switches],
        input=raw,
        env=os.environ | environment,
        capture_output=True,
        check=False,
        timeout=120,
    )


def test_a_piped_reply_confirms_and_the_same_mail_again_changes_nothing(stack: ServiceProcesses) -> None:
    stack.environment |= {"BOOKING_CLOCK": "stepped", "BOOKING_REPLY_AUTHSERV": AUTHSERV}
    pending = request_confirmation()
    stack.worker("front", ("replies",), concurrency=1)
    stack.wait_ready()
    unsigned = mail(calendar(pending.confirmation_request_id))
    raw = through_border(unsigned)
    injected = f'Authentication-Results: {AUTHSERV}; dmarc=fail smtp.mailfrom="x; dmarc=pass y"@evil.example'

    refused = pipe(unsigned, stack.environment)
    forged = pipe(injected.encode() + b"\r\n" + unsigned, stack.environment)
    first, again = (pipe(raw, stack.environment) for _ in range(2))

    assert (forged.returncode, forged.stdout.startswith(b"refused not_authenticated (")) == (0, True)
    assert (refused.returncode, refused.stdout.startswith(b"refused not_authenticated (")) == (0, True)
    assert (first.returncode, first.stdout.startswith(b"done (")) == (0, True), first.stderr
    assert (again.returncode, again.stdout) == (0, first.stdout)
    with transaction() as db:
        assert pending.request().status == "scheduled"
        kept = db.execute(select(InboxMessage).where(InboxMessage.task == "receive_reply")).scalars().all()
    assert [(one.entry_point, one.state, one.body) for one in kept] == [
        ("replies", "done", None)  # one for both that were not authenticated: their content is the same
    ] * 2
    log = (stack.folder / "front.log").read_text()
    assert WEBER not in log
    assert WEBER.encode() not in first.stdout + first.stderr


def test_a_mail_without_a_reply_is_done_with_and_one_without_an_answer_comes_again(
    stack: ServiceProcesses,
) -> None:
    nowhere = {
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "DATABASE_URL": "postgresql://127.0.0.1:1/x",
    }

    dead_letter = pipe(b"From: a@example.org\r\n\r\nHello", nowhere)
    assert (dead_letter.returncode, dead_letter.stdout) == (0, b"ignored: it carries no calendar\n")
    huge = pipe(b"From: a@example.org\r\n\r\n" + b"x" * 5_000_000, nowhere)
    assert (huge.returncode, huge.stdout) == (0, b"ignored: it is larger than 4194304 bytes\n")
    away = pipe(mail(calendar(uuid4())), nowhere, "--seconds", "1")
    assert away.returncode == 75
    assert b"deliver it again" in away.stdout
    unheard = pipe(mail(calendar(uuid4())), stack.environment, "--seconds", "1")
    assert unheard.returncode == 75
