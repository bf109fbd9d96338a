"""Behind a pooler: what stands between is found out, and only what the pooler can carry is used."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from booking_tasks.kit.database import create_booking_engine, database_path
from booking_tasks.kit.pooler import PoolMode, UnsuitablePoolerError
from booking_tasks.kit.settings import Settings, load_settings
from booking_tasks.ops.check import _pooler
from booking_tasks.ops.database_failures import failure_line
from booking_tasks.ops.ready import failures
from booking_tasks.ops.servers import free_port
from tests.accounts import APP, SESSION_SETTINGS, as_superuser
from tests.conftest import copied_database
from tests.pgbouncer import IGNORE_OPTIONS, PgBouncer

pytestmark = pytest.mark.pgbouncer

#: The configurations in which people run PgBouncer: as shipped, and with what it does not know ignored.
POOLERS = {
    "session": ("session", {}),
    "session, ignoring": ("session", IGNORE_OPTIONS),
    "transaction": ("transaction", {}),
    "transaction, ignoring": ("transaction", IGNORE_OPTIONS),
}


@pytest.fixture(scope="module")
def poolers(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, PgBouncer]]:
    """One PgBouncer of each configuration, all in front of the tests' PostgreSQL."""
    made = {
        name: PgBouncer(tmp_path_factory.mktemp("pgbouncer"), postgres, mode, **more)  # type: ignore[arg-type]
        for name, (mode, more) in POOLERS.items()
    }
    for one in made.values():
        one.start()
    yield made
    for one in made.values():
        one.stop()


@pytest.fixture(scope="module")
def database(template: str) -> Iterator[str]:
    """A database as a deployment has it; its direct URL, for the service's role."""
    with copied_database(template) as url:
        yield url


@pytest.fixture
def way(request: pytest.FixtureRequest, poolers: dict[str, PgBouncer], database: str) -> str:
    """The URL of the database through the pooler of this name."""
    return poolers[request.param].url_of(database)


every_pooler = pytest.mark.parametrize("way", list(POOLERS), indirect=True)


def config_of(url: str) -> Settings:
    return load_settings({"database_url": url})


@contextmanager
def connections(url: str, count: int) -> Iterator[list[Connection]]:
    """Connections of as many engines, as that many processes have them."""
    engines = [create_booking_engine(config_of(url)) for _ in range(count)]
    opened: list[Connection] = []
    try:
        opened.extend(engine.connect() for engine in engines)
        yield opened
    finally:
        for connection in opened:
            connection.close()
        for engine in engines:
            engine.dispose()


@contextmanager
def load(url: str, clients: int) -> Iterator[None]:
    """Other clients of the same pool that send one statement after another."""
    is_over, has_begun = threading.Event(), threading.Barrier(clients + 1)

    def send(seed: int) -> None:
        chance = random.Random(seed)
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
            connection.execute("SELECT 1")
            has_begun.wait(60)
            while not is_over.is_set():
                connection.execute(f"SELECT pg_sleep({chance.random() * 0.004})".encode())

    with ThreadPoolExecutor(max(clients, 1)) as pool:
        running = [pool.submit(send, seed) for seed in range(clients)]
        try:
            has_begun.wait(60)
            yield
        finally:
            is_over.set()
        for one in running:
            one.result(60)


MODES = [
    *(pytest.param(name, PoolMode(mode), id=name) for name, (mode, _) in POOLERS.items()),
    pytest.param("", PoolMode.DIRECT, id="direct"),
]


@pytest.mark.parametrize("is_busy", [False, True], ids=["quiet", "under load"])
@pytest.mark.parametrize(("pooler", "mode"), MODES)
def test_direct_session_mode_and_transaction_mode_are_distinguished(
    poolers: dict[str, PgBouncer], database: str, pooler: str, mode: PoolMode, is_busy: bool
) -> None:
    url = poolers[pooler].url_of(database) if pooler else database
    clients = 0 if not is_busy else 5 if mode == PoolMode.SESSION else 12
    with load(url, clients):
        found = [database_path(config_of(url)).mode for _ in range(10)]
    assert found == [mode] * 10


@every_pooler
def test_the_limits_of_the_role_are_in_force(way: str) -> None:
    with connections(way, 2) as opened:
        for connection in opened:
            shown = {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in SESSION_SETTINGS}
            assert shown == SESSION_SETTINGS


@contextmanager
def role_setting(database: str, name: str, setting: str | None) -> Iterator[None]:
    """Meanwhile the service's role has another setting in this database, or none."""
    where, change = f"ALTER ROLE {APP} IN DATABASE {database.rpartition('/')[2]}", f"SET {name} = '{setting}'"
    with psycopg.connect(as_superuser(database), autocommit=True) as superuser:
        superuser.execute(f"{where} {change if setting else f'RESET {name}'}".encode())
        yield
        superuser.execute(f"{where} SET {name} = '{SESSION_SETTINGS[name]}'".encode())


@every_pooler
def test_a_shorter_limit_of_the_role_is_accepted_and_ends_a_statement(
    poolers: dict[str, PgBouncer], request: pytest.FixtureRequest, template: str, way: str
) -> None:
    pooler = poolers[request.node.callspec.params["way"]]
    with (
        copied_database(template) as url,
        role_setting(url, "statement_timeout", "200ms"),
        connections(pooler.url_of(url), 1) as [connection],
        pytest.raises(OperationalError, match="statement timeout"),
    ):
        connection.execute(text("SELECT pg_sleep(20)"))


@pytest.mark.parametrize("name", SESSION_SETTINGS)
@pytest.mark.parametrize("pooler", ["session, ignoring", "transaction"])
def test_a_limit_that_the_role_lacks_is_refused_with_the_remedy(
    poolers: dict[str, PgBouncer], template: str, pooler: str, name: str
) -> None:
    with copied_database(template) as url, role_setting(url, name, _LACKING.get(name)):
        config = config_of(poolers[pooler].url_of(url))
        with pytest.raises(UnsuitablePoolerError, match=f"{name} .* instead of .*booking-tasks roles"):
            database_path(config)
        engine = create_booking_engine(config)
        with pytest.raises(OperationalError, match="booking-tasks roles") as caught:
            engine.connect()
        engine.dispose()
        assert str(failure_line(caught.value)).startswith("behind a pooler the role booking_app must bring")
        assert "booking-tasks roles" in failures(config)["database"]


@pytest.fixture(scope="module")
def statement_pooler(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgBouncer]:
    """A PgBouncer that gives each statement any connection, and refuses transactions."""
    with PgBouncer(tmp_path_factory.mktemp("pgbouncer"), postgres, "statement") as running:
        yield running


@pytest.mark.parametrize("clients", [0, 12], ids=["quiet", "under load"])
def test_a_pooler_of_statements_is_refused_with_the_remedy(
    statement_pooler: PgBouncer, database: str, clients: int
) -> None:
    url = statement_pooler.url_of(database)
    with load(url, clients):
        for _ in range(3):
            with pytest.raises(UnsuitablePoolerError, match="set pool_mode = transaction or session"):
                database_path(config_of(url))


def test_commands_behind_a_pooler_of_statements_name_the_remedy(
    statement_pooler: PgBouncer, database: str
) -> None:
    config = config_of(statement_pooler.url_of(database))
    engine = create_booking_engine(config)
    with pytest.raises(OperationalError) as caught, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()
    assert "set pool_mode = transaction or session" in str(failure_line(caught.value))
    assert "set pool_mode = transaction or session" in failures(config)["database"]
    assert {one.state for one in _pooler(config)} == {"broken"}


#: The server's own defaults for the others are 0: no limit.
_LACKING = {"statement_timeout": "31s", "TimeZone": "Europe/Vienna"}


def test_a_parameter_of_the_url_that_the_pooler_refuses_is_named(
    poolers: dict[str, PgBouncer], database: str
) -> None:
    url = poolers["transaction"].url_of(database) + "?options=-c%20lock_timeout%3D1s"
    with pytest.raises(UnsuitablePoolerError, match="refuses a parameter of the database's URL"):
        database_path(config_of(url))


@every_pooler
def test_each_client_gets_the_answers_to_its_own_statements(way: str) -> None:
    """A prepared statement belongs to a session of the server, which serves another client next."""
    with connections(way, 2) as opened:
        answers = []
        for number in range(40):
            for client, connection in enumerate(opened):
                answers.append(
                    connection.execute(text(f"SELECT 'client {client}'")).scalar_one() == f"client {client}"
                )
                connection.execute(
                    text("SELECT count(*) FROM jobs WHERE job_type = :name"), {"name": str(number)}
                )
                connection.rollback()
    assert answers == [True] * 80


def test_a_direct_connection_has_the_limits_of_the_settings_whatever_the_role_has(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKING_STATEMENT_TIMEOUT", "1s")
    with copied_database(template) as url, connections(url, 1) as [connection]:
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "1s"
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "2s"
        with pytest.raises(OperationalError, match="statement timeout"):
            connection.execute(text("SELECT pg_sleep(20)"))


def test_nothing_of_the_service_stays_in_a_session_that_others_use(
    poolers: dict[str, PgBouncer], database: str
) -> None:
    """The same session serves the next client, so that a setting or lock would be the next client's."""
    url = poolers["transaction"].url_of(database)
    leftovers = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM"
    leftovers += " pg_database WHERE datname = current_database())"
    with connections(url, 1) as [connection]:
        connection.execute(text("SELECT 1"))
        connection.rollback()
        shown = {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in SESSION_SETTINGS}
        assert shown == SESSION_SETTINGS
        assert connection.execute(text(leftovers)).scalar_one() == 0
        assert connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one() == 0


def test_a_database_that_does_not_answer_is_no_reason_to_refuse(database: str) -> None:
    port = free_port()
    with pytest.raises(psycopg.OperationalError) as raised:
        database_path(config_of(f"postgresql://{APP}@127.0.0.1:{port}/nothing"))
    assert not isinstance(raised.value, UnsuitablePoolerError)
