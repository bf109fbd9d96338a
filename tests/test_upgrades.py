"""Upgrading while it runs: one release beside the next, over one database."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from booking_tasks.ops.migrate import (
    SchemaError,
    known_revisions,
    migrate,
    migrations_folder,
    refuse_older_schema,
)
from booking_tasks.ops.test_platform import LocalPlatform
from booking_tasks.retention.tasks import purge
from booking_tasks.settings import settings
from tests.accounts import as_superuser
from tests.catalogues import catalogue_of, differences, fresh_database
from tests.mail.servers import Sink, post
from tests.ops.scenery import bookable, play

__all__ = ["post"]


@pytest.fixture
def effects(own_database: str, valkey: str, post: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with LocalPlatform() as platform:
        monkeypatch.setenv("BOOKING_MEETING_URL", platform.url)
        settings.cache_clear()
        yield


def one_step_ahead(url: str) -> None:
    """What the next release may add to any table, before this one is gone."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND relname <> 'alembic_version'"
        ).fetchall()
        for (table,) in tables:
            added = "ADD COLUMN added_one text, ADD COLUMN added_two integer NOT NULL DEFAULT 0"
            connection.execute(f"ALTER TABLE {table} {added}".encode())
            connection.execute(f"CREATE INDEX ON {table} (added_two)".encode())
        connection.execute("CREATE TABLE added_table (id uuid PRIMARY KEY)")
        connection.execute("UPDATE alembic_version SET version_num = '9999_next'")


@pytest.mark.usefixtures("effects")
def test_this_release_works_on_the_schema_of_the_next(own_database: str) -> None:
    kind_and_requester = bookable()
    play(*kind_and_requester)
    one_step_ahead(as_superuser(own_database))
    play(*kind_and_requester)
    purge()
    refuse_older_schema(own_database)


def test_a_worker_or_beat_does_not_start_on_the_schema_of_the_release_before(own_database: str) -> None:
    with psycopg.connect(as_superuser(own_database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [known_revisions()[-2]])
    for command in ("worker", "beat"):
        ran = subprocess.run(
            [sys.executable, "-m", "booking_tasks.ops", command],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert ran.returncode == 1
        assert ran.stderr.startswith("booking-tasks: the database is at ")
        assert ran.stderr.endswith("run booking-tasks migrate first\n")


def test_a_database_that_is_away_is_no_reason_not_to_start() -> None:
    refuse_older_schema("postgresql+psycopg://127.0.0.1:1/nothing")


def test_an_empty_database_is_a_reason(postgres: str) -> None:
    with fresh_database(postgres) as url, pytest.raises(SchemaError, match="at nothing"):
        refuse_older_schema(url)


def test_a_step_that_cannot_have_its_locks_gives_up_soon_and_leaves_nothing(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKING_LOCK_TIMEOUT", "0.2s")
    settings.cache_clear()
    with fresh_database(postgres) as url:
        migrate(url, known_revisions()[-2])
        before = catalogue_of(url)
        with psycopg.connect(url) as holder:
            holder.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(SchemaError, match="run booking-tasks migrate again"):
                migrate(url)
        assert differences(before, catalogue_of(url)) == []
        migrate(url)
    settings.cache_clear()


# -- expand, then contract -------------------------------------------------------------------------------

#: The first release: there is nobody before these steps.
FIRST_RELEASE = "0007_time"
_TAKES_AWAY = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|VIEW|FUNCTION)\b|\bRENAME\b|\bSET\s+NOT\s+NULL\b"
    r"|\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE\b"
    r"|\bADD\s+COLUMN\s+(?![^,;]*\bDEFAULT\b)[^,;]*\bNOT\s+NULL\b",
    re.IGNORECASE,
)


def _upgrade_sql(source: str) -> str:
    [upgrade] = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
    ]
    texts = [node.value for node in ast.walk(upgrade) if isinstance(node, ast.Constant)]
    return "\n".join(one for one in texts if isinstance(one, str))


def _contracts(source: str) -> str | None:
    """The step named by `contracts = "..."`: the one since whose release nobody needs what goes here."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "contracts":
            return str(ast.literal_eval(node.value))
    return None


def _steps() -> list[Path]:
    later = [one for one in known_revisions() if one > FIRST_RELEASE]
    return [migrations_folder() / "versions" / f"{one}.py" for one in later]


def test_no_step_takes_away_what_the_release_before_needs() -> None:
    for path in _steps():
        source = path.read_text()
        taken = _TAKES_AWAY.search(_upgrade_sql(source))
        if taken:
            since = _contracts(source)
            assert since in known_revisions(), f"{path.name} takes away ({taken[0]}) and names no step"
            assert since < path.stem, path.name


@pytest.mark.parametrize(
    ("sql", "taken"),
    [
        ("ALTER TABLE jobs DROP COLUMN detail", True),
        ("DROP TABLE jobs", True),
        ("ALTER TABLE jobs RENAME COLUMN a TO b", True),
        ("ALTER TABLE jobs ALTER COLUMN detail SET NOT NULL", True),
        ("ALTER TABLE jobs ALTER COLUMN attempts TYPE bigint", True),
        ("ALTER TABLE jobs ADD COLUMN who text NOT NULL", True),
        ("ALTER TABLE jobs ADD COLUMN who text NOT NULL DEFAULT ''", False),
        ("ALTER TABLE jobs ADD COLUMN who text, ADD COLUMN n integer DEFAULT 0 NOT NULL", False),
        ("CREATE TABLE parked (id uuid NOT NULL)", False),
        ("ALTER TABLE jobs DROP CONSTRAINT ck_jobs_state, ADD CONSTRAINT ck_jobs_state CHECK (true)", False),
    ],
)
def test_what_takes_away_is_told_from_what_adds(sql: str, taken: bool) -> None:
    source = f'contracts = "0001_catalogue"\ndef upgrade():\n    op.execute("""{sql}""")\n'
    assert bool(_TAKES_AWAY.search(_upgrade_sql(source))) is taken
    assert _contracts(source) == "0001_catalogue"


def test_files_are_named_by_their_revision_and_numbered_without_a_gap() -> None:
    names = known_revisions()
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for name in names:
        assert f'revision = "{name}"' in (migrations_folder() / "versions" / f"{name}.py").read_text()
