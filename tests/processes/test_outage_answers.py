"""While the database is away a caller learns that, and no host, port or role of the deployment."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from booking_tasks.client import BookingClient, NoAnswerError
from booking_tasks.contracts import CancelRequest, Query, SearchSlots
from booking_tasks.ops.servers import free_port
from booking_tasks.ops.service_processes import ServiceProcesses
from tests.builders import NOW

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


@pytest.mark.parametrize(
    "message",
    [
        CancelRequest(message_id=uuid4(), actor="shop", request_id=uuid4()),
        SearchSlots(service_type_id=uuid4(), start=NOW, end=NOW.replace(hour=23)),
    ],
    ids=["a command", "a query"],
)
def test_the_error_of_a_caller_names_no_host_port_or_role(
    stack: ServiceProcesses, message: Query[Any]
) -> None:
    port = free_port()
    stack.environment["DATABASE_URL"] = f"postgresql://secret_role@127.0.0.1:{port}/secret_database"
    worker = stack.worker("one", concurrency=1)
    stack.wait_ready()
    client = BookingClient(stack.environment["REDIS_URL"])
    try:
        with pytest.raises(NoAnswerError) as caught:
            client.send(message, wait=True).outcome(timeout=60)
    finally:
        client.close()
    assert str(caught.value) == f"{message.task}: NotAnsweredError: the database is away"
    [stored] = [caught.value.__cause__]
    shown = repr(stored) + str(getattr(stored, "traceback", ""))
    assert not any(part in shown for part in (str(port), "127.0.0.1", "secret_role", "secret_database"))
    assert str(port) in worker.log.read_text()  # for the operator
