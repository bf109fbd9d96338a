"""A pooler that becomes unsuitable while a worker runs: an outage that loses no message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import func, select

from booking_tasks.client import BookingClient
from booking_tasks.contracts import UpsertUser
from booking_tasks.enums import InboxState
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import InboxMessage
from booking_tasks.ops.service_processes import ServiceProcesses
from tests.accounts import APP, SESSION_SETTINGS, as_superuser
from tests.pgbouncer import PgBouncer, PoolMode
from tests.processes.rows import wait_for

pytestmark = [pytest.mark.pgbouncer, pytest.mark.stack, pytest.mark.timeout(240)]


@pytest.fixture
def pooler(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgBouncer]:
    with PgBouncer(tmp_path_factory.mktemp("pgbouncer"), postgres, "transaction") as running:
        yield running


def restart(pooler: PgBouncer, mode: PoolMode = "transaction") -> None:
    pooler.stop()
    pooler.pool_mode = mode
    pooler.start()


def set_lock_timeout(url: str, setting: str) -> None:
    """Change what the service's role brings; sessions that begin later have it."""
    change = f"ALTER ROLE {APP} IN DATABASE {url.rpartition('/')[2]} SET lock_timeout = '{setting}'"
    with psycopg.connect(as_superuser(url), autocommit=True) as superuser:
        superuser.execute(change.encode())


def send(client: BookingClient) -> UUID:
    """Send a message that nobody waits for."""
    user_id = uuid7()
    client.send(
        UpsertUser(
            message_id=user_id,
            actor="test",
            user_id=user_id,
            name="Ann",
            email="ann@example.org",
            time_zone="UTC",
        )
    )
    return user_id


def is_answered(message_id: UUID) -> bool:
    is_done = select(func.count()).where(
        InboxMessage.message_id == message_id, InboxMessage.state == InboxState.DONE
    )
    with transaction() as db:
        return db.execute(is_done).scalar_one() == 1


def test_a_worker_keeps_its_messages_while_the_pooler_is_unsuitable(
    stack: ServiceProcesses, pooler: PgBouncer, own_database: str, client: BookingClient
) -> None:
    stack.environment["DATABASE_URL"] = pooler.url_of(own_database)
    worker = stack.worker("one", concurrency=1)
    stack.wait_ready()

    def outage(spoil: Callable[[], None], repair: Callable[[], None], reason: str) -> None:
        spoil()
        message_id = send(client)
        wait_for(lambda: reason in worker.log.read_text(), f"a message that waits: {reason}")
        assert not is_answered(message_id)
        repair()
        wait_for(lambda: is_answered(message_id), "the answer after the outage")

    outage(lambda: restart(pooler, "statement"), lambda: restart(pooler), "statement pooling mode")

    def without_limit() -> None:
        set_lock_timeout(own_database, "0")
        restart(pooler)

    def with_limit() -> None:
        set_lock_timeout(own_database, SESSION_SETTINGS["lock_timeout"])
        restart(pooler)

    outage(without_limit, with_limit, "lock_timeout 0 instead of 10000ms")
    assert worker.running
