"""A process is killed while PostgreSQL works for it: what it held is free soon, not when the query ends."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from booking_tasks.client import BookingClient
from booking_tasks.contracts import SubmitRequest
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.stack import FRONT
from tests.accounts import as_superuser
from tests.faults.conftest import Open
from tests.faults.house import House
from tests.faults.nemesis import children, send

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

#: A backend that runs a message (booking_tasks/inbox/tasks.py) and waits for somebody's lock on a table.
_AT_WORK = """
    SELECT held.pid
      FROM pg_locks held JOIN pg_locks awaited ON awaited.pid = held.pid
     WHERE held.locktype = 'advisory' AND held.granted AND NOT awaited.granted
       AND (held.classid::bigint << 32 | held.objid::bigint) = hashtextextended('message:' || %s, 0)
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


def backend_of(admin: psycopg.Connection, wish: SubmitRequest) -> int | None:
    """The backend that holds the lock of a message and stands still."""
    found = admin.execute(_AT_WORK.encode(), [str(wish.message_id)]).fetchone()
    return None if found is None else int(found[0])


def holds_nothing(admin: psycopg.Connection, backend: int) -> bool:
    found = admin.execute(_HELD.encode(), [backend]).fetchone()
    return found == (0,)


def at_work(admin: psycopg.Connection, wish: SubmitRequest) -> int:
    """Wait until a message's run stands still in PostgreSQL; its backend."""
    wait_until(lambda: backend_of(admin, wish) is not None, "a message at work", 60)
    backend = backend_of(admin, wish)
    assert backend is not None
    return backend


@pytest.fixture
def house(open_house: Open) -> Iterator[House]:
    patient = {"BOOKING_LOCK_TIMEOUT": _MUCH_LATER, "BOOKING_STATEMENT_TIMEOUT": _MUCH_LATER}
    with open_house(2, 4, **patient) as house:
        house.stack.worker("front", FRONT, concurrency=1)
        house.wait_ready()
        yield house


def test_the_locks_of_a_process_killed_in_a_query_are_free_soon(house: House) -> None:
    [wish] = house.wishes(1, random.Random(10))
    [front] = house.stack.processes
    client = BookingClient(house.redis_url)
    with (
        psycopg.connect(as_superuser(house.stage.environment["DATABASE_URL"])) as admin,
        locked(admin, "consultation_service_types"),
    ):
        receipt = client.send(wish, wait=True)
        backend = at_work(admin, wish)
        send(children(front.pid), signal.SIGKILL)
        wait_until(lambda: holds_nothing(admin, backend), "the end of every lock it held", _SOON)
        assert at_work(admin, wish) != backend  # the message runs again, and waits for nobody's ghost
    assert receipt.outcome(timeout=30).result == "done"
    client.close()
