"""After an error that says that the server is gone or read-only, the next try is on another connection."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

import booking_tasks
from booking_tasks.jobs import runner
from booking_tasks.jobs.runner import AfterCommit
from booking_tasks.kit.database import create_booking_engine
from booking_tasks.kit.database_errors import is_away
from booking_tasks.kit.settings import load_settings
from booking_tasks.ops.servers import Postgres, wait_until

_TABLE = "CREATE TABLE IF NOT EXISTS written (server int)"


def _admin(server: Postgres, *statements: str) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[tuple[Postgres, Postgres]]:
    """A primary, and the server that becomes the primary after it."""
    folder: Path = tmp_path_factory.mktemp("servers")
    old = Postgres(folder / "old", durable=False)
    with old, Postgres(folder / "new", old.binaries, durable=False) as new:
        for server in (old, new):
            _admin(server, _TABLE)
        yield old, new


@pytest.fixture
def engine(postgres: str) -> Iterator[Engine]:
    made = create_booking_engine(load_settings({"database_url": postgres}))
    yield made
    made.dispose()


def _write(engine: Engine) -> int:
    """Write a row; the port of the server that has it."""
    with Session(engine) as db, db.begin():
        written = text("INSERT INTO written SELECT current_setting('port')::int RETURNING server")
        return int(db.execute(written).scalar_one())


def _backend(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def _fail(engine: Engine, sqlstate: str) -> DBAPIError:
    with pytest.raises(DBAPIError) as caught, engine.begin() as connection:
        connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$"))
    return caught.value


def test_the_write_after_a_refused_one_is_on_the_new_primary(servers: tuple[Postgres, Postgres]) -> None:
    old, new = servers
    url = f"postgresql://postgres@127.0.0.1:{old.port},127.0.0.1:{new.port}/postgres"
    engine = create_booking_engine(load_settings({"database_url": url}))
    assert _write(engine) == old.port

    _admin(old, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    with engine.connect() as connection:  # the pooled connection answers, and will refuse to write
        read_only = text("SHOW default_transaction_read_only")
        wait_until(lambda: connection.execute(read_only).scalar_one() == "on", "a read-only server")
    with pytest.raises(DBAPIError, match="read-only") as caught:
        _write(engine)
    assert is_away(caught.value)

    assert [_write(engine) for _ in range(3)] == [new.port] * 3
    engine.dispose()


@pytest.mark.parametrize(
    "sqlstate", ["25006", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "08006", "08P01"]
)
def test_a_useless_connection_is_closed_with_its_whole_pool(engine: Engine, sqlstate: str) -> None:
    with engine.connect() as one, engine.connect() as other:
        pids = {one.execute(text("SELECT pg_backend_pid()")).scalar_one() for one in (one, other)}
    assert is_away(_fail(engine, sqlstate))
    with engine.connect() as one, engine.connect() as other:
        assert pids.isdisjoint(
            {one.execute(text("SELECT pg_backend_pid()")).scalar_one() for one in (one, other)}
        )


@pytest.mark.parametrize("sqlstate", ["23505", "40001", "55P03", "57014", "42501"])
def test_any_other_error_keeps_the_connection(engine: Engine, sqlstate: str) -> None:
    before = _backend(engine)
    assert not is_away(_fail(engine, sqlstate))
    assert _backend(engine) == before


def test_a_connection_that_was_found_closed_is_an_outage(engine: Engine) -> None:
    with engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        driver.close()
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT 1"))
    assert is_away(caught.value)


@pytest.mark.parametrize("sqlstate", ["53100", "53300"])
def test_without_resources_a_later_try_may_succeed(engine: Engine, sqlstate: str) -> None:
    before = _backend(engine)
    assert is_away(_fail(engine, sqlstate))
    assert _backend(engine) == before


def test_a_known_result_waits_for_a_database_that_is_read_only(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def write(db: Session, _: object) -> AfterCommit:
        tries.append(len(tries))
        if len(tries) < 3:
            db.execute(text("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '25006'; END $$"))
        return lambda: None

    runner._write_with_retry(write, lease_ends=float("inf"))
    assert tries == [0, 1, 2]


def test_the_url_may_set_what_the_service_sets_otherwise(postgres: str) -> None:
    url = f"{postgres}?application_name=mine&connect_timeout=2"
    engine = create_booking_engine(load_settings({"database_url": url}))
    with engine.connect() as connection:
        assert connection.execute(text("SHOW application_name")).scalar_one() == "mine"
    engine.dispose()


def test_every_engine_of_the_service_watches_its_errors() -> None:
    """The migrator has one connection and no pool that outlives an error."""
    package = Path(booking_tasks.__file__).parent
    makers = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"\bcreate_engine\(", path.read_text())
    }
    assert makers == {"kit/database.py", "ops/migrate.py"}
    assert "watch_errors(made)" in (package / "kit" / "database.py").read_text()
