"""Real servers for every test: PostgreSQL and Valkey of this run's own, unless the environment names some.

`db` is a session inside a savepoint, rolled back after the test: for services and stores.
`own_database` is a fresh committed database: for tasks, workers and rivals in several connections.
Both are used with the rights of the service's own role (tests/accounts.py).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings as hypothesis_settings
from sqlalchemy import create_engine, text
from sqlalchemy.exc import InternalError, PendingRollbackError
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.ops.servers import Postgres, Valkey, system_postgres_binaries
from booking_tasks.ops.service_processes import ServiceProcess
from tests import preforked_workers
from tests.accounts import as_deployed, as_role, migrate_with_roles
from tests.builders import NOW
from tests.guarded_postgres import GuardedPostgres
from tests.messages.access import GuardedRabbitMQ
from tests.pgbouncer import PgBouncer
from tests.rabbitmq_server import RabbitMQ
from tests.system_packages import SystemPackages
from tests.unit_modules import SERVER_FIXTURES, unit_modules

_MEMORY, _ROOM = Path("/dev/shm"), 2 * 1024**3


def _available() -> int:
    """Memory that programs can have, in bytes; 0 when the system does not say (proc(5), meminfo)."""
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text().splitlines() if meminfo.exists() else []
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def _write_to_memory() -> None:
    """Put temporary files into memory where there is room, unless `TMPDIR` is set.

    Each copy of a database is some 600 files, for which a disk's file system takes up to a third of a second.
    """
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return
    runs_nothing = os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC  # a copied PostgreSQL must run there
    if not runs_nothing and min(_available(), shutil.disk_usage(_MEMORY).free) > _ROOM:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


_write_to_memory()
_FOLDER = tempfile.TemporaryDirectory(prefix="booking-tests-", ignore_cleanup_errors=True)
#: What the environment does not name. Side by side (pytest -n 2) each process has servers of its own: the
#: URLs it inherits from the one that only hands out the tests name servers that never start.
_OWN = os.environ.get("BOOKING_TESTS_OWN", "").split() or [
    name for name in ("DATABASE_URL", "REDIS_URL") if name not in os.environ
]
os.environ["BOOKING_TESTS_OWN"] = " ".join(_OWN)
_POSTGRES = Postgres(Path(_FOLDER.name) / "postgres", durable=False) if "DATABASE_URL" in _OWN else None
_VALKEY = Valkey(Path(_FOLDER.name) / "valkey", durable=False) if "REDIS_URL" in _OWN else None
if _POSTGRES is not None:
    os.environ["DATABASE_URL"] = _POSTGRES.url()
if _VALKEY is not None:
    os.environ["REDIS_URL"] = _VALKEY.url()
#: `tmp_path` too: another run of the same user shuts its own folder to everybody, the parent of all of them.
os.environ["PYTEST_DEBUG_TEMPROOT"] = _FOLDER.name
os.environ["BOOKING_HEARTBEAT_FILE"] = str(Path(_FOLDER.name) / "heartbeat")
_SERVER_URL = os.environ["DATABASE_URL"]
ServiceProcess.launch = staticmethod(preforked_workers.launch)
# Here, for `--hypothesis-profile soak` is looked up before any test is read.
hypothesis_settings.register_profile("soak", max_examples=500, stateful_step_count=60, deadline=None)
# No example fails because the machine was busy.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--unit", action="store_true", help="run only modules that need no server")


_UNIT_MODULES = pytest.StashKey[frozenset[Path]]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers of system packages, and find the modules of `--unit`."""
    config.pluginmanager.register(SystemPackages())
    if config.getoption("--unit"):
        config.stash[_UNIT_MODULES] = unit_modules(config.cache)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip a module, or a folder, without quick tests before it is imported, for `--unit`."""
    if not config.getoption("--unit"):
        return None
    is_module = collection_path.suffix == ".py"
    if is_module or collection_path.is_dir():
        quick = config.stash[_UNIT_MODULES]
        parts = {collection_path} if is_module else {one for one in quick if collection_path in one.parents}
        return None if parts & quick else True
    return None


def _needs_server(item: pytest.Item) -> bool:
    """Whether a test uses a server's fixture, directly or through others, or starts processes of its own."""
    fixtures = set(getattr(item, "fixturenames", ()))
    return not SERVER_FIXTURES.isdisjoint(fixtures) or item.get_closest_marker("stack") is not None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the files: those that start processes first, as a long one at the end would run alone."""
    if config.getoption("--unit"):
        needing = {item.path for item in items if _needs_server(item)}
        config.hook.pytest_deselected(items=[item for item in items if item.path in needing])
        items[:] = [item for item in items if item.path not in needing]
    starting = pytest.mark.timeout(600)  # the first test starts the server, which may take minutes
    for item in items:
        if item.get_closest_marker("rabbitmq") is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(starting)
    slow = {item.path for item in items if item.get_closest_marker("stack") is not None}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows what its workers and beats said last."""
    report = yield
    if report.failed:
        report.sections += preforked_workers.log_tails(since=call.start)
    return report


def database_url(name: str) -> str:
    """The URL of another database on the tests' server."""
    return _SERVER_URL.rpartition("/")[0] + "/" + name


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A running PostgreSQL; the URL of its maintenance database."""
    if _POSTGRES is None:
        yield _SERVER_URL
        return
    with _POSTGRES:
        yield _SERVER_URL


@pytest.fixture(scope="session")
def system_postgres() -> Iterator[str]:
    """The PostgreSQL installed on this machine, running; the URL of its maintenance database."""
    binaries = system_postgres_binaries()
    assert binaries is not None, "a test that uses it carries its marker"
    with (
        tempfile.TemporaryDirectory(prefix="booking-tests-", ignore_cleanup_errors=True) as folder,
        Postgres(Path(folder) / "system-postgres", binaries, durable=False) as server,
    ):
        yield server.url()


@pytest.fixture(
    scope="session", params=["postgres", pytest.param("system_postgres", marks=pytest.mark.system_postgres)]
)
def server(request: pytest.FixtureRequest) -> str:
    """Each server in turn; the URL of its maintenance database."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture(scope="session")
def guarded_postgres() -> Iterator[GuardedPostgres]:
    """A server of its own that wants passwords, with the database and roles of a deployment and no schema."""
    with GuardedPostgres(Path(_FOLDER.name) / "guarded-postgres", durable=False) as server:
        server.set_up()
        yield server


def valkey_url(url: str, number: int) -> str:
    """The URL of another numbered database on the same Valkey, for those who run workers of their own."""
    return urlsplit(url)._replace(path=f"/{number}").geturl()


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """A running Valkey; its URL."""
    if _VALKEY is None:
        yield os.environ["REDIS_URL"]
        return
    with _VALKEY:
        yield os.environ["REDIS_URL"]


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMQ]:
    """The RabbitMQ installed on this machine, running for the whole session: its start takes seconds."""
    with (
        tempfile.TemporaryDirectory(prefix="booking-tests-", ignore_cleanup_errors=True) as folder,
        RabbitMQ(Path(folder)) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def guarded_rabbitmq() -> Iterator[GuardedRabbitMQ]:
    """A RabbitMQ that loaded the shipped definitions, running for the whole session."""
    with (
        tempfile.TemporaryDirectory(prefix="booking-tests-", ignore_cleanup_errors=True) as folder,
        GuardedRabbitMQ(Path(folder)) as server,
    ):
        yield server


@pytest.fixture
def rabbitmq(rabbitmq_server: RabbitMQ) -> Iterator[str]:
    """The URL of an empty virtual host of one test."""
    with rabbitmq_server.virtual_host() as url:
        yield url


def _admin(statement: str) -> None:
    with psycopg.connect(_SERVER_URL, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """A migrated database that others are copied from; its name."""
    name = f"booking_template_{os.getpid()}"
    _admin(f"CREATE DATABASE {name}")
    migrate_with_roles(database_url(name))
    yield name
    _admin(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def _savepoint_database(template: str) -> Iterator[str]:
    with copied_database(template) as url:
        yield url


def check_deferred_keys(session: Session) -> None:
    """Check the keys that are checked at a commit, because this work is rolled back and never commits."""
    with suppress(PendingRollbackError, InternalError):  # after an error that the test expected
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))


@pytest.fixture
def db(_savepoint_database: str) -> Iterator[Session]:
    """A session whose work is rolled back after the test."""
    engine = create_engine(_savepoint_database.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection, connection.begin() as outer:
        session = Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
        yield session
        check_deferred_keys(session)
        session.close()
        outer.rollback()
    engine.dispose()


@contextmanager
def copied_database(template: str) -> Iterator[str]:
    """A fresh copy of a database, dropped at the end; its URL, for the service's own role."""
    name = f"booking_{uuid4().hex[:12]}"
    # The template's files as they are: half the work of writing each page through the log.
    with psycopg.connect(_SERVER_URL, autocommit=True) as superuser:
        superuser.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy".encode())
        as_deployed(superuser, name)
    try:
        yield as_role(database_url(name))
    finally:
        _admin(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def pgbouncer(postgres: str) -> Iterator[PgBouncer]:
    """A running PgBouncer that pools transactions, in front of the tests' PostgreSQL."""
    folder = Path(_FOLDER.name) / "pgbouncer"
    with PgBouncer(folder, postgres, "transaction") as running:
        yield running


#: For modules whose tests use `own_database`: each test runs twice, directly and through a pooler.
DIRECT_AND_POOLED = pytest.mark.parametrize(
    "own_database", ["direct", pytest.param("pooled", marks=pytest.mark.pgbouncer)], indirect=True
)


@pytest.fixture
def own_database(
    request: pytest.FixtureRequest, template: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A fresh migrated database that this process's settings point to; its URL, for the service's role."""
    from booking_tasks.kit import database
    from booking_tasks.kit.settings import settings

    is_pooled = getattr(request, "param", "direct") == "pooled"
    pooler: PgBouncer | None = request.getfixturevalue("pgbouncer") if is_pooled else None
    with copied_database(template) as direct_url:
        url = pooler.url_of(direct_url) if pooler else direct_url
        monkeypatch.setenv("DATABASE_URL", url)
        settings.cache_clear()
        database.engine.cache_clear()
        yield url
        database.engine().dispose()
        database.engine.cache_clear()
        settings.cache_clear()


@pytest.fixture
def ctx() -> Context:
    """A fixed context: Monday 1 March 2027, 09:00 UTC."""
    return Context(now=NOW, actor="test", entry_point="booking")
