"""The running service behind a pooler of transactions: bookings at once, and whole lives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from redis import Redis

from booking_tasks.ops.servers import wait_until
from tests.accounts import as_superuser
from tests.conftest import copied_database, valkey_url
from tests.faults.invariants import Ledger, examined
from tests.faults.random_kills import Storm
from tests.faults.running_service import PATIENT, TUESDAY, RunningService
from tests.pgbouncer import PgBouncer

pytestmark = [pytest.mark.pgbouncer, pytest.mark.stack, pytest.mark.timeout(900)]

#: Fewer ticks, which live longer: on a slow machine a worker would spend its time on ticks that have expired.
_CALM = {"BOOKING_SWEEP_INTERVAL": "1s", "BOOKING_WAKEUP_TTL": "30s"}
#: An advisory lock outside a transaction would be one of nobody, since nothing runs any more.
_LOCKS = (
    "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
    " WHERE l.locktype = 'advisory' AND d.datname = current_database()"
)


@pytest.fixture
def service(template: str, valkey: str, pgbouncer: PgBouncer) -> Iterator[RunningService]:
    broker = valkey_url(valkey, 13)
    with Redis.from_url(broker) as redis:
        redis.flushdb()
    with (
        copied_database(template) as url,
        RunningService(pgbouncer.url_of(url), broker, **PATIENT, **_CALM).open(4, 20) as service,
    ):
        service.start()
        yield service


def advisory_locks(service: RunningService) -> int:
    with psycopg.connect(as_superuser(service.stage.environment["DATABASE_URL"])) as superuser:
        row = superuser.execute(_LOCKS).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("count", [12, pytest.param(60, marks=pytest.mark.long)])
def test_whole_bookings_many_at_once(service: RunningService, count: int) -> None:
    """From the request to the verdict after the session, with mails, rooms and reminders."""
    service.call(service.requests(count, random.Random(12)))
    service.calm()
    service.live_through(TUESDAY + timedelta(days=3))
    ledger = assert_nothing_is_lost(service)
    assert (ledger.accepted, ledger.terminal, ledger.uncertain) == (count, count, 0)


@pytest.mark.parametrize("count", [24, pytest.param(120, marks=pytest.mark.long)])
def test_workers_killed_at_random_behind_the_pooler(service: RunningService, count: int) -> None:
    """The server connection of a dead client goes to another one, without its transaction and its locks."""
    storm = Storm(service, None, random.Random(13), {"child": 6, "worker": 1, "beat": 1})
    with storm.over(answers=2):
        service.call(service.requests(count, storm.chance), seconds=600)
    storm.revive()
    service.calm()
    ledger = assert_nothing_is_lost(service)
    assert ledger.accepted == count
    assert ledger.uncertain <= storm.kills.total()
    assert storm.kills["child"] >= 3
    assert storm.kills["worker"] >= 1


def assert_nothing_is_lost(service: RunningService) -> Ledger:
    """No promise is broken, and once every process is dead no lock of any is left behind."""
    ledger = examined(service)
    assert ledger.wrong == ()
    assert (ledger.overlaps, ledger.lost, ledger.duplicates, ledger.open, ledger.dead) == (0, 0, 0, 0, 0)
    service.stack.kill()
    wait_until(lambda: advisory_locks(service) == 0, "the end of every lock")
    return ledger
