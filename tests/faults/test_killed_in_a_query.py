"""A process is killed while PostgreSQL works for it: what it held is free soon, not when the query ends."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from booking_tasks.client import BookingClient
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import FRONT
from tests.accounts import as_superuser
from tests.faults.conftest import Open
from tests.faults.fault_injector import children, send
from tests.faults.running_service import RunningService

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

#: A backend that runs a message (booking_tasks/inbox/receiver.py), has locked its row of the inbox, and waits
#: for somebody's lock on a table.
_AT_WORK = """
    SELECT awaited.pid
      FROM pg_locks awaited JOIN pg_locks held ON held.pid = awaited.pid
     WHERE NOT awaited.granted AND awaited.locktype = 'relation'
       AND awaited.relation = 'consultation_service_types'::regclass
       AND held.relation = 'inbox'::regclass AND held.mode = 'RowShareLock' AND held.granted
"""
_HELD = "SELECT count(*) FROM pg_locks WHERE pid = %s"

#: The promise is a second. Only the two time-outs below would end the query otherwise.
_SOON, _MUCH_LATER = 4, "60s"


@contextmanager
def locked(admin: psycopg.Connection, table: str) -> Iterator[None]:
    """Nobody else reads a table, for as long as the block lasts."""
    with admin.transaction():
        admin.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


def backend_of(admin: psycopg.Connection) -> int | None:
    """The backend that holds the lock of a message and stands still."""
    found = admin.execute(_AT_WORK.encode()).fetchone()
    return None if found is None else int(found[0])


def holds_nothing(admin: psycopg.Connection, backend: int) -> bool:
    found = admin.execute(_HELD.encode(), [backend]).fetchone()
    return found == (0,)


def at_work(admin: psycopg.Connection) -> int:
    """Wait until the run of the only message stands still in PostgreSQL; its backend."""
    wait_until(lambda: backend_of(admin) is not None, "a message at work", 60)
    backend = backend_of(admin)
    assert backend is not None
    return backend


@pytest.fixture
def service(open_service: Open) -> Iterator[RunningService]:
    patient = {"BOOKING_LOCK_TIMEOUT": _MUCH_LATER, "BOOKING_STATEMENT_TIMEOUT": _MUCH_LATER}
    with open_service(2, 4, **patient) as service:
        service.stack.worker("front", FRONT, concurrency=1)
        service.wait_ready()
        yield service


def test_the_locks_of_a_process_killed_in_a_query_are_free_soon(service: RunningService) -> None:
    [request] = service.requests(1, random.Random(10))
    [front] = service.stack.processes
    client = BookingClient(service.redis_url)
    with (
        psycopg.connect(as_superuser(service.stage.environment["DATABASE_URL"])) as admin,
        locked(admin, "consultation_service_types"),
    ):
        receipt = client.send(request, wait=True)
        backend = at_work(admin)
        send(children(front.pid), signal.SIGKILL)
        wait_until(lambda: holds_nothing(admin, backend), "the end of every lock it held", _SOON)
        assert at_work(admin) != backend  # the message runs again, and waits for nobody's ghost
    assert receipt.outcome(timeout=30).result == "done"
    client.close()
