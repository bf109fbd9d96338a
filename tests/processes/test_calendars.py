"""Outside calendars in real processes: a message, a beat, and a worker with its sandboxed reader."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from booking_tasks.client import BookingClient
from booking_tasks.contracts import ListCalendarFeeds, SetCalendarFeed
from booking_tasks.enums import FeedType
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AvailabilitySlot
from booking_tasks.ops.service_processes import ServiceProcesses
from tests import builders
from tests.calendars.servers import CERTIFICATE, calendar_server
from tests.calendars.test_tasks import meeting
from tests.end_to_end.test_privacy import everything
from tests.processes.rows import PATIENCE, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def _busy() -> bool:
    source = AvailabilitySlot.source.startswith("calendar:")
    with transaction() as db:
        return db.execute(select(AvailabilitySlot.id).where(source)).first() is not None


def test_a_calendar_is_read_by_the_provision_worker_and_nothing_of_it_is_logged(
    stack: ServiceProcesses, client: BookingClient, redis: Any
) -> None:
    stack.environment |= {"SSL_CERT_FILE": str(CERTIFICATE), "BOOKING_CALENDAR_PRIVATE_HOSTS": "localhost"}
    with transaction() as db:
        who = builders.consultant(db).consultant_user_id
    with calendar_server(meeting("one", 3)) as server:
        stack.worker("front", ("admin", "sweep"), 1)
        stack.worker("effects", ("provision",), 1)
        stack.beat()
        stack.wait_ready()
        command = SetCalendarFeed(
            message_id=uuid7(),
            actor="test",
            feed_id=uuid7(),
            consultant_user_id=who,
            feed_type=FeedType.ICS,
            url=f"https://localhost:{server.port}/private-token",
            username="okafor",
            password="open-sesame",
        )
        assert client.send(command, wait=True).outcome(timeout=PATIENCE).result == "done"
        wait_for(_busy, "busy time from the calendar")
        listed = client.send(ListCalendarFeeds(), wait=True).outcome(timeout=PATIENCE)
        stack.stop()

    [state] = listed.feeds
    assert (state.feed_id, state.busy_pieces, state.failures) == (command.feed_id, 1, 0)
    logs = "".join(path.read_text() for path in stack.folder.glob("*.log"))
    assert "calendar.read" in logs
    shown = f"{logs}{everything(redis)}"
    for canary in ("private-token", "okafor", "open-sesame", "Canary"):
        assert canary not in shown
