"""Every call this service makes to another server, timed while all of them are frozen.

`python -m tests.faults.calls PID...` freezes those processes and prints, as JSON, how long each call
took. A process of its own: its app and its settings have these servers from the start.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import text

from booking_tasks.celery import app
from booking_tasks.client import BookingClient
from booking_tasks.contracts import CancelRequest
from booking_tasks.events.publisher import Publisher
from booking_tasks.events.tasks import targets_of
from booking_tasks.kit.database import create_booking_engine, engine
from booking_tasks.kit.settings import settings
from booking_tasks.mail.message import Mailbox, compose
from booking_tasks.mail.transport import transport
from booking_tasks.meetings.provider import HttpMeetingPlatform
from booking_tasks.meetings.rules import RoomSpec
from booking_tasks.outbox.job_args import JobType
from booking_tasks.wakeup import wake
from tests.builders import NOW
from tests.faults.fault_injector import frozen

Call = Callable[[], object]

_MAIL = compose(
    Mailbox("Booking", "booking@example.org"),
    Mailbox("Mira", "mira@example.org"),
    "Subject",
    "text",
    "<p>text</p>",
    None,
    None,
    "<1@example.org>",
    NOW,
)


def _message() -> CancelRequest:
    return CancelRequest(message_id=uuid4(), actor="shop", request_id=uuid4())


def broker_calls() -> dict[str, Call]:
    """Calls over connections that were used before, and one over a new one."""
    used, waiting = (BookingClient(settings().redis_url) for _ in range(2))
    used.send(_message())
    receipt = waiting.send(_message(), wait=True)
    wake({JobType.PUBLISH_EVENT})
    job_types = {
        JobType.ASSIGN_REQUEST,
        JobType.PROVISION_MEETING,
        JobType.PUBLISH_EVENT,
        JobType.SEND_INVITE,
    }
    event = json.dumps({"id": str(uuid4()), "type": "booking.test.v1"}).encode()
    return {
        "client.send": lambda: used.send(_message()),
        "client.send, first": lambda: BookingClient(settings().redis_url).send(_message()),
        "client.send, to wait": lambda: BookingClient(settings().redis_url).send(_message(), wait=True),
        "receipt.outcome": lambda: receipt.outcome(timeout=2),
        "wakeup.wake": lambda: wake(job_types),
        "an outcome stored": lambda: app.backend.store_result(str(uuid4()), {}, "SUCCESS"),
        "an event published": lambda: Publisher(targets_of(settings()), app.send_task).publish(event),
    }


def effect_calls() -> dict[str, Call]:
    """Mail and the meeting platform, whose calls each make a new connection."""
    key, spec = (
        str(uuid4()),
        RoomSpec(
            session_id=uuid4(),
            revision=0,
            starts_at=NOW,
            ends_at=NOW + timedelta(hours=1),
            requester_user_id=uuid4(),
            consultant_user_id=uuid4(),
        ),
    )

    # Made beforehand, as for a batch of calls: loading certificates is no waiting for anybody.
    ensuring, ending, attending, listing = (
        HttpMeetingPlatform(settings().meeting_url, None, settings().meeting_timeout) for _ in range(4)
    )
    return {
        "mail.send": lambda: transport(settings()).send(_MAIL),
        "platform.ensure": lambda: ensuring.ensure(key, spec),
        "platform.end": lambda: ending.end(key, spec.session_id),
        "platform.attendance": lambda: attending.attendance(spec.session_id),
        "platform.rooms": lambda: listing.rooms(NOW, NOW + timedelta(days=90)),
    }


def database_calls(open_ones: ExitStack) -> dict[str, Call]:
    """A statement and a commit in the middle of transactions, a new connection, and one that lay idle."""
    queried, committed = (open_ones.enter_context(engine().connect()) for _ in range(2))
    for one in (queried, committed):
        one.execute(text("SELECT 1"))
    pooled = create_booking_engine(settings())
    with pooled.connect() as idle:
        idle.execute(text("SELECT 1"))
    return {
        "a statement": lambda: queried.execute(text("SELECT 1")),
        "a commit": committed.commit,
        "a connection": lambda: engine().connect(),
        "a statement, after a rest": lambda: pooled.connect().execute(text("SELECT 1")),
    }


def seconds(call: Call) -> tuple[float, str]:
    """How long a call takes and what becomes of it."""
    began = time.monotonic()
    try:
        call()
    except Exception as error:  # noqa: BLE001 - each fails in its own way, and that is as it should be
        return time.monotonic() - began, type(error).__name__
    return time.monotonic() - began, "done"


def main(pids: list[int]) -> None:
    """Freeze, call everything at once, thaw."""
    with ExitStack() as open_ones:
        calls = broker_calls() | effect_calls() | database_calls(open_ones)
        with ThreadPoolExecutor(len(calls)) as pool, ExitStack() as ice:
            for pid in pids:
                ice.enter_context(frozen(pid))
            took = dict(zip(calls, pool.map(seconds, calls.values()), strict=True))
    sys.stdout.write("\n" + json.dumps(took))


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]])
