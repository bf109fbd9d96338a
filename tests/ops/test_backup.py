"""A backup is restored into an empty cluster as docs/operations.md says: the roles first."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from booking_tasks.kit import database
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.models import DirectoryUser
from booking_tasks.ops.check import findings
from booking_tasks.ops.migrate import migrate
from booking_tasks.ops.secret_files import roles_sql
from booking_tasks.ops.servers import Postgres
from tests.accounts import as_role, migrate_as_deployed
from tests.catalogues import catalogue_of, differences
from tests.migration_rows import ROWS
from tests.ops.test_migrate import rights_of

NAME = "booking_tasks"


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postgres, Path]]:
    """A server with a filled database, and a backup of it."""
    folder: Path = tmp_path_factory.mktemp("backup")
    with Postgres(folder / "source", durable=False) as source:
        create_database(source)
        migrate_as_deployed(source.url(NAME))
        with psycopg.connect(source.url(NAME)) as superuser:
            for rows in (rows for step in ROWS.values() for rows in step.values()):
                superuser.execute(rows.encode())
        dump = folder / "booking.dump"
        run(source, "pg_dump", "--format=custom", "--dbname", source.url(NAME), to=dump)
        yield source, dump


@contextmanager
def empty_server(folder: Path, source: Postgres) -> Iterator[Postgres]:
    with Postgres(folder / "target", source.binaries, durable=False) as target:
        create_database(target)
        yield target


def create_database(server: Postgres) -> None:
    with psycopg.connect(server.url(), autocommit=True) as superuser:
        superuser.execute(f"CREATE DATABASE {NAME}".encode())


def run(server: Postgres, program: str, *arguments: str, to: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a program of PostgreSQL; what it prints goes to the file."""
    with to.open("wb") as output:
        return subprocess.run(
            [str(server.binaries / program), *arguments], stdout=output, stderr=subprocess.PIPE, check=False
        )


def restore(target: Postgres, dump: Path) -> subprocess.CompletedProcess[bytes]:
    arguments = ("--exit-on-error", "--dbname", target.url(NAME), str(dump))
    return run(target, "pg_restore", *arguments, to=dump.with_suffix(".log"))


def counts(url: str) -> dict[str, int]:
    with psycopg.connect(url) as superuser:
        tables = superuser.execute("SELECT relname FROM pg_stat_user_tables ORDER BY 1").fetchall()
        return {
            name: int(superuser.execute(f"SELECT count(*) FROM {name}".encode()).fetchone()[0])  # type: ignore[index]
            for (name,) in tables
        }


def shapes(url: str) -> dict[str, str]:
    """The catalogue; PostgreSQL writes a restored condition in other words, so of those only the names."""
    catalogue = catalogue_of(url)
    return {
        name: "" if " CHECK " in f" {text}" or "WHERE" in text or "WHEN" in text else text
        for name, text in catalogue.items()
    }


def test_a_backup_is_restored_after_the_roles(
    backup: tuple[Postgres, Path], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, dump = backup
    with empty_server(tmp_path_factory.mktemp("restored"), source) as target:
        with psycopg.connect(target.url(NAME), autocommit=True) as superuser:
            superuser.execute(roles_sql().encode())
        restored = restore(target, dump)
        assert (restored.returncode, restored.stderr) == (0, b"")
        migrate(as_role(target.url(NAME), "booking_migrator"))

        assert differences(shapes(source.url(NAME)), shapes(target.url(NAME))) == []
        assert counts(source.url(NAME)) == counts(target.url(NAME))
        assert rights_of(source.url(NAME)) == rights_of(target.url(NAME)) != set()
        works_as_the_service(as_role(target.url(NAME)), monkeypatch)


def works_as_the_service(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's own role reads and writes, and `check` finds nothing broken in the database."""
    monkeypatch.setenv("DATABASE_URL", url)
    settings.cache_clear()
    database.engine.cache_clear()
    with transaction() as db:
        db.query(DirectoryUser).update({"language": "de"})
    states = {one.check: one.state for one in findings()}
    assert {states[name] for name in ("database", "extension", "schema")} == {"ok"}
    database.engine().dispose()
    database.engine.cache_clear()
    settings.cache_clear()


def test_without_the_roles_a_restore_stops_and_names_the_missing_one(
    backup: tuple[Postgres, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    source, dump = backup
    with empty_server(tmp_path_factory.mktemp("refused"), source) as target:
        refused = restore(target, dump)
    assert refused.returncode != 0
    assert b'role "booking_owner" does not exist' in refused.stderr
