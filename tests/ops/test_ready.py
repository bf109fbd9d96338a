"""`booking-tasks ready` and /readyz: red with one line where a server cannot be written to now."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from booking_tasks.kit.settings import load_settings
from booking_tasks.ops.ready import failures
from booking_tasks.ops.servers import Valkey, free_port, wait_until
from tests.accounts import as_superuser

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def here(own_database: str, broker: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A deployment whose database and broker take writes."""
    monkeypatch.setenv("REDIS_URL", broker)
    return monkeypatch


def found() -> dict[str, str]:
    return failures(load_settings(), seconds=2)


def ready(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "booking_tasks.ops", "ready", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )


def _alter(url: str, statement: str) -> None:
    name = url.rpartition("/")[2]
    with psycopg.connect(as_superuser(url), autocommit=True) as superuser:
        superuser.execute(statement.format(name=name).encode())


def test_ready_when_both_take_a_write_and_nothing_of_it_stays(here: pytest.MonkeyPatch, broker: str) -> None:
    ran = ready()

    assert (ran.returncode, ran.stdout) == (0, "ready\n"), ran.stderr
    with redis.Redis.from_url(broker, decode_responses=True) as server:
        assert all(server.pttl(key) != -1 for key in server.scan_iter())  # each goes by itself


def test_a_database_that_is_away_is_one_line(here: pytest.MonkeyPatch) -> None:
    here.setenv("DATABASE_URL", f"postgresql://booking_app@127.0.0.1:{free_port()}/booking")

    ran = ready()

    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("not ready: database: the database cannot be reached: ")
    assert "broker" not in line


def test_a_database_that_is_read_only_is_not_ready(here: pytest.MonkeyPatch, own_database: str) -> None:
    _alter(own_database, "ALTER DATABASE {name} SET default_transaction_read_only = on")

    assert set(found()) == {"database"}
    assert "read-only" in found()["database"]


def test_an_unknown_role_is_not_ready(here: pytest.MonkeyPatch, own_database: str) -> None:
    here.setenv("DATABASE_URL", own_database.replace("booking_app@", "nobody_of_ours@"))

    assert set(found()) == {"database"}


def test_a_role_that_may_only_read_is_not_ready(here: pytest.MonkeyPatch, own_database: str) -> None:
    here.setenv("DATABASE_URL", own_database.replace("booking_app@", "booking_reader@"))

    assert set(found()) == {"database"}
    assert "ermission denied" in found()["database"]


def test_a_schema_behind_this_release_is_not_ready(here: pytest.MonkeyPatch, own_database: str) -> None:
    _alter(own_database, "DELETE FROM alembic_version")

    assert "booking-tasks migrate" in found()["database"]


def test_a_database_that_does_not_answer_in_time_is_not_ready(
    here: pytest.MonkeyPatch, own_database: str
) -> None:
    with psycopg.connect(as_superuser(own_database)) as superuser:
        superuser.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")

        assert "did not answer" in found()["database"]


def test_a_broker_that_is_away_is_one_line(here: pytest.MonkeyPatch) -> None:
    here.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")

    ran = ready()

    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("not ready: broker: ConnectionError")


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey of the test's own, whose configuration it changes."""
    with Valkey(tmp_path / "second", durable=False) as server:
        yield server


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("requirepass", "a-word", "Authentication"),
        ("maxmemory", "1", "OutOfMemory"),
        ("min-replicas-to-write", "1", "NOREPLICAS"),
    ],
    ids=["password", "full", "without its replicas"],
)
def test_a_broker_that_takes_no_write_is_not_ready(
    here: pytest.MonkeyPatch, second: Valkey, name: str, value: str, reason: str
) -> None:
    here.setenv("REDIS_URL", second.url())
    with redis.Redis.from_url(second.url()) as server:
        server.config_set("maxmemory-policy", "noeviction")
        server.config_set(name, value)

    assert set(found()) == {"broker"}
    assert reason in found()["broker"]


def test_a_broker_that_is_a_replica_is_not_ready(here: pytest.MonkeyPatch, second: Valkey) -> None:
    here.setenv("REDIS_URL", second.url())
    with redis.Redis.from_url(second.url()) as server:
        server.replicaof("127.0.0.1", str(free_port()))

    assert set(found()) == {"broker"}


def test_a_result_backend_of_its_own_is_tried_too(here: pytest.MonkeyPatch) -> None:
    here.setenv("CELERY_RESULT_BACKEND", f"redis://127.0.0.1:{free_port()}/0")

    assert set(found()) == {"results"}


def test_waiting_ends_when_the_server_is_there(
    here: pytest.MonkeyPatch, second: Valkey, tmp_path: Path
) -> None:
    here.setenv("REDIS_URL", second.url())
    with redis.Redis.from_url(second.url()) as server:
        server.config_set("maxmemory", "1")
        waiting = subprocess.Popen(
            [sys.executable, "-m", "booking_tasks.ops", "ready", "--wait", "120"],
            stdout=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: server.info("stats")["total_error_replies"] > 0, "a refused write", seconds=60)
        server.config_set("maxmemory", "0")
        output, _ = waiting.communicate(timeout=60)

    assert (waiting.returncode, output) == (0, "ready\n")
