"""`booking-tasks ready` and /readyz: red with one line where a server cannot be written to now."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from booking_tasks.kit.database import create_booking_engine
from booking_tasks.kit.settings import load_settings
from booking_tasks.ops.database_failures import failure_line
from booking_tasks.ops.ready import failures
from booking_tasks.ops.servers import Valkey, free_port, wait_until
from tests.accounts import READER, as_role, as_superuser
from tests.guarded_postgres import NAME, GuardedPostgres

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


def test_a_role_that_may_only_read_is_not_ready(here: pytest.MonkeyPatch, own_database: str) -> None:
    here.setenv("DATABASE_URL", as_role(own_database, READER))

    assert set(found()) == {"database"}
    assert "read-only" in found()["database"]
    assert "a role that may write" in found()["database"]


@dataclass(frozen=True)
class Refused:
    """A URL that a server refuses, with what it says and the remedy; `{...}` are parts of the right one."""

    url: str
    text: str
    remedy: str
    during: str = ""
    after: str = ""


_LOGIN = "correct user and password in DATABASE_URL, or make the role that is missing (booking-tasks roles)"
_TWO = "postgresql://booking_app:wrong@127.0.0.1:{first},127.0.0.1:{second}/{name}"
REFUSED = {
    "wrong password": Refused(
        "postgresql://booking_app:wrong@{host}/{name}", "password authentication failed", _LOGIN
    ),
    "no password": Refused("postgresql://booking_app@{host}/{name}", "no password supplied", _LOGIN),
    "unknown role": Refused(
        "postgresql://nobody_of_ours:x@{host}/{name}", "password authentication failed", _LOGIN
    ),
    "wrong password, first host away": Refused(
        _TWO.format(first="{away}", second="{port}", name="{name}"), "password authentication failed", _LOGIN
    ),
    "wrong password, second host away": Refused(
        _TWO.format(first="{port}", second="{away}", name="{name}"), "password authentication failed", _LOGIN
    ),
    "unknown database": Refused(
        "postgresql://postgres@{host}/missing", 'database "missing" does not exist', "create the database"
    ),
    "not in pg_hba.conf": Refused(
        "postgresql://booking_outsider:x@{host}/{name}", "pg_hba.conf", "allow this host, user and database"
    ),
    "no TLS there": Refused(
        "{right}?sslmode=require", "server does not support SSL", "correct sslmode and the certificates"
    ),
    "no more connections": Refused(
        "{right}",
        "too many connections for role",
        "allow more connections there",
        "ALTER ROLE booking_app CONNECTION LIMIT 0",
        "ALTER ROLE booking_app CONNECTION LIMIT -1",
    ),
    "not in this database": Refused(
        "{right}",
        "permission denied for database",
        "booking-tasks roles",
        "REVOKE CONNECT ON DATABASE booking_tasks FROM booking_app",
        "GRANT CONNECT ON DATABASE booking_tasks TO booking_app",
    ),
    "read-only": Refused(
        "{right}",
        "read-only",
        "it names the primary",
        "ALTER DATABASE booking_tasks SET default_transaction_read_only = on",
        "ALTER DATABASE booking_tasks RESET default_transaction_read_only",
    ),
    "no host takes writes": Refused(
        "{right}?target_session_attrs=read-write",
        "session is read-only",
        "it names the primary",
        "ALTER DATABASE booking_tasks SET default_transaction_read_only = on",
        "ALTER DATABASE booking_tasks RESET default_transaction_read_only",
    ),
}


@contextmanager
def refusing(server: GuardedPostgres, case: Refused) -> Iterator[str]:
    """The server refuses this URL meanwhile."""
    parts = {"right": server.service_url(), "host": f"127.0.0.1:{server.port}", "name": NAME}
    url = case.url.format(port=server.port, away=free_port(), **parts)
    with psycopg.connect(server.url(NAME), autocommit=True) as superuser:
        superuser.execute((case.during or "SELECT 1").encode())
        try:
            yield url
        finally:
            superuser.execute((case.after or "SELECT 1").encode())


@pytest.fixture(scope="module")
def with_inbox(guarded_postgres: GuardedPostgres) -> GuardedPostgres:
    """The server with the one table that is written to, so that only the connection is at fault."""
    with psycopg.connect(guarded_postgres.url(NAME)) as superuser:
        superuser.execute("CREATE TABLE IF NOT EXISTS inbox (attempts int)")
        superuser.execute("GRANT SELECT, UPDATE ON inbox TO booking_app")
    return guarded_postgres


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_the_server_refuses_is_one_line_with_the_remedy(
    with_inbox: GuardedPostgres, case: Refused
) -> None:
    with refusing(with_inbox, case) as url:
        config = load_settings({"database_url": url})
        line = failures(config, seconds=2)["database"]
        engine = create_booking_engine(config)
        with pytest.raises(DBAPIError) as caught, engine.connect() as connection:
            connection.execute(text("UPDATE inbox SET attempts = 0"))
        engine.dispose()

    for one in (line, failure_line(caught.value)):
        assert one is not None
        assert len(one.splitlines()) == 1
        assert case.text in one.partition("; ")[0]
        assert case.remedy in one.partition("; ")[2]


@pytest.mark.parametrize(
    ("refusal", "remedy"),
    [
        ('FATAL:  role "booking_app" does not exist', _LOGIN),
        ('FATAL:  role "booking_owner" is not permitted to log in', _LOGIN),
        ('FATAL:  Peer authentication failed for user "booking_app"', _LOGIN),
        ("FATAL:  sorry, too many clients already", "allow more connections there"),
        ("FATAL:  no more connections allowed (max_client_conn)", "allow more connections there"),
        ("FATAL:  no such database: booking", "create the database"),
        ("FATAL:  the database system is starting up", "wait until it has started"),
        ('server certificate for "a" does not match host name "b"', "correct sslmode and the certificates"),
        ("FATAL:  Passwort-Authentifizierung für Benutzer »x« fehlgeschlagen", "see the log of the server"),
        ("Connection refused", "start PostgreSQL, or correct DATABASE_URL"),
    ],
)
def test_other_refusals_have_a_remedy_too(refusal: str, remedy: str) -> None:
    error = psycopg.OperationalError(f'connection to server at "127.0.0.1", port 5432 failed: {refusal}')

    assert remedy in str(failure_line(error))
    assert refusal in str(failure_line(error))


def test_a_wrong_password_is_one_line_of_the_command(
    here: pytest.MonkeyPatch, guarded_postgres: GuardedPostgres
) -> None:
    here.setenv("DATABASE_URL", f"postgresql://booking_app:wrong@127.0.0.1:{guarded_postgres.port}/{NAME}")

    ran = ready()

    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("not ready: database: the database refuses: ")
    assert line.endswith(_LOGIN)


def test_a_schema_behind_this_release_is_not_ready(here: pytest.MonkeyPatch, own_database: str) -> None:
    _alter(own_database, "DELETE FROM alembic_version")

    assert "booking-tasks migrate" in found()["database"]


def test_a_database_that_does_not_answer_in_time_is_not_ready(
    here: pytest.MonkeyPatch, own_database: str
) -> None:
    with psycopg.connect(as_superuser(own_database)) as superuser:
        superuser.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")

        assert "did not answer" in found()["database"]


def test_a_broker_that_is_away_is_one_line(here: pytest.MonkeyPatch) -> None:
    here.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")

    ran = ready()

    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("not ready: broker: ConnectionError")


@pytest.mark.rabbitmq
@pytest.mark.timeout(600)
def test_an_empty_rabbitmq_is_one_line_with_the_remedy(own_database: str, rabbitmq: str) -> None:
    url = {"database_url": own_database, "broker_url": rabbitmq}

    line = failures(load_settings(url), seconds=60)["broker"]

    assert "NOT_FOUND - no exchange" in line
    assert line.endswith("; load RabbitMQ's definitions, or start a worker, which declares what is missing")
    assert len(line.splitlines()) == 1


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
