"""The fixtures of the guard's tests: one worker per pool, shared by all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import ServiceProcess
from tests.accounts import as_superuser
from tests.conftest import copied_database, valkey_url
from tests.messages.running_worker import RunningWorker

#: Pool -> its switches; how many messages it runs at once.
POOLS = {"prefork": (["-c", "2"], 2), "solo": (["-P", "solo"], 1)}
QUEUES = "booking,evidence,admin,replies,provision,notify,sweep"


def started(worker: ServiceProcess) -> None:
    """Until it takes messages, also on a machine that is busy with something else."""
    wait_until(lambda: worker.heartbeat.exists() or worker._process.poll() is not None, "a worker", 90)
    worker.wait_ready()


@contextmanager
def running_post(template: str, broker: str, folder: Path, pool: str) -> Iterator[RunningWorker]:
    """A worker on an empty broker database and a fresh copy of the template."""
    with redis.Redis.from_url(broker) as connection:
        connection.flushdb()
    with copied_database(template) as database:
        switches, slots = POOLS[pool]
        environment = {"DATABASE_URL": database, "REDIS_URL": broker}
        worker = ServiceProcess("worker", folder, ["worker", "-Q", QUEUES, *switches], environment)
        running_worker = RunningWorker(broker, as_superuser(database), worker, slots)
        try:
            started(worker)
            yield running_worker
        finally:
            worker.stop()
            running_worker.close()


@pytest.fixture(scope="package")
def prefork(template: str, valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    """A running worker with a pool of processes."""
    folder = tmp_path_factory.mktemp("post-prefork")
    with running_post(template, valkey_url(valkey, 5), folder, "prefork") as running:
        yield running


@pytest.fixture(scope="package")
def solo(template: str, valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    """A running worker without a pool."""
    folder = tmp_path_factory.mktemp("post-solo")
    with running_post(template, valkey_url(valkey, 10), folder, "solo") as running:
        yield running


@pytest.fixture(params=POOLS)
def running_worker(request: pytest.FixtureRequest) -> RunningWorker:
    """A running worker of each pool in turn; both go on, so that no file starts them again."""
    running: RunningWorker = request.getfixturevalue(request.param)
    return running
