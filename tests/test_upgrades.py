"""Upgrading while it runs: one release beside the next, over one database."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from booking_tasks.kit.settings import settings
from booking_tasks.ops.migrate import (
    SchemaError,
    known_revisions,
    migrate,
    migrations_folder,
    refuse_older_schema,
)
from booking_tasks.ops.test_platform import LocalPlatform
from booking_tasks.retention.tasks import purge
from tests.accounts import as_superuser
from tests.catalogues import catalogue_of, differences, fresh_database
from tests.expanding import harms, upgrade_sql
from tests.mail.servers import Sink, post
from tests.ops.scenery import bookable, play

__all__ = ["post"]

#: A function's name -> the ways to call it.
Signatures = dict[str, set[str]]


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
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
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
#: What was done before there was a rule against it: step -> how its statement begins.
_BEFORE_THE_RULE = {"0018_company_index": "CREATE INDEX ix_consultation_requests_company"}


def _contracts(source: str) -> str | None:
    """The step named by `contracts = "..."`: the one since whose release nobody needs what goes here."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "contracts":
            return str(ast.literal_eval(node.value))
    return None


def _steps() -> list[Path]:
    later = [one for one in known_revisions() if one > FIRST_RELEASE]
    return [migrations_folder() / "versions" / f"{one}.py" for one in later]


def _may_contract(path: Path) -> bool:
    """Whether the step says since when nobody needs what goes here."""
    since = _contracts(path.read_text())
    return since in known_revisions() and since < path.stem


def test_no_step_takes_away_what_the_release_before_needs_or_makes_it_wait() -> None:
    for path in _steps():
        known = _BEFORE_THE_RULE.get(path.stem)
        harmful = harms(upgrade_sql(path.read_text()))
        if known is not None:
            assert [one for one in harmful if one.startswith(known)], f"{path.name} is no exception any more"
        new = [one for one in harmful if known is None or not one.startswith(known)]
        assert new == [] or _may_contract(path), f"{path.name}: {new}, and no step that nobody needs it since"


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE jobs DROP COLUMN detail",
        "DROP TABLE jobs",
        "DROP INDEX uq_jobs_key",
        "ALTER TABLE jobs DROP CONSTRAINT uq_jobs_key",
        "ALTER TABLE jobs ALTER COLUMN n DROP DEFAULT",
        "DO $$ BEGIN ALTER TABLE jobs ADD CONSTRAINT uq_jobs_n UNIQUE (n); END $$",
        "ALTER TABLE jobs RENAME COLUMN a TO b",
        "ALTER TABLE jobs ALTER COLUMN detail SET NOT NULL",
        "ALTER TABLE jobs ALTER COLUMN attempts TYPE bigint",
        "ALTER TABLE jobs ADD COLUMN who text NOT NULL",
        "DO $$ BEGIN DROP TABLE jobs; END $$",
        "ALTER TABLE jobs ADD CONSTRAINT ck_jobs_n CHECK (n IN (1, 2))",
        "ALTER TABLE jobs ADD CONSTRAINT a CHECK (n > 0), ADD CONSTRAINT b CHECK (n < 9) NOT VALID",
        "ALTER TABLE ONLY jobs ADD CHECK (n > 0)",
        "ALTER TABLE jobs ADD CONSTRAINT fk FOREIGN KEY (n) REFERENCES events (id)",
        "ALTER TABLE jobs ADD CONSTRAINT uq_jobs_n UNIQUE (n)",
        "ALTER TABLE jobs ADD CONSTRAINT ex_jobs EXCLUDE USING gist (n WITH =)",
        "ALTER TABLE jobs ADD COLUMN n integer UNIQUE",
        "ALTER TABLE jobs ADD COLUMN m text, ADD COLUMN n integer CHECK (n > 0)",
        "CREATE INDEX ix_jobs_n ON jobs (n)",
        "CREATE INDEX ON jobs (n)",
        "CREATE UNIQUE INDEX CONCURRENTLY uq_jobs_n ON jobs (n)",
        "CREATE TABLE parked (n integer); CREATE INDEX ix_jobs_n ON jobs (n)",
    ],
)
def test_what_takes_away_or_holds_up_is_found(sql: str) -> None:
    assert len(harms(upgrade_sql(_step(sql)))) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE jobs ADD COLUMN who text NOT NULL DEFAULT ''",
        "ALTER TABLE jobs ADD COLUMN who text, ADD COLUMN n integer DEFAULT 0 NOT NULL",
        "CREATE TABLE parked (id uuid NOT NULL UNIQUE CHECK (true))",
        "CREATE TABLE parked (n integer); CREATE UNIQUE INDEX uq_parked_n ON parked (n);"
        " ALTER TABLE parked ADD CONSTRAINT uq_parked UNIQUE (n)",
        "ALTER TABLE jobs DROP CONSTRAINT ck, ADD CONSTRAINT ck CHECK (n IN (1, 2)) NOT VALID",
        "ALTER TABLE jobs ADD COLUMN n integer, ADD CONSTRAINT ck_jobs_n CHECK (n > 0) NOT VALID",
        "ALTER TABLE jobs VALIDATE CONSTRAINT ck_jobs_n",
        "CREATE INDEX CONCURRENTLY ix_jobs_n ON jobs (n)",
        "DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_n; CREATE INDEX CONCURRENTLY ix_jobs_n ON jobs (n)",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ DROP TABLE jobs $$",
    ],
)
def test_what_only_adds_is_let_pass(sql: str) -> None:
    assert harms(upgrade_sql(_step(sql))) == []


def _step(sql: str) -> str:
    return f'contracts = "0001_catalogue"\ndef upgrade():\n    op.execute("""{sql}""")\n'


def test_steps_are_written_in_sql_which_is_what_is_read_here() -> None:
    for path in _steps():
        named = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        used = {one.attr for one in named if isinstance(one.value, ast.Name) and one.value.id == "op"}
        assert used <= {"execute", "get_context"}, path.name


def test_statements_are_read_wherever_a_step_keeps_them() -> None:
    source = (
        'TEXT = "DROP TABLE jobs"\ndef upgrade():\n    op.execute(TEXT)\n'
        '    op.execute(f"CREATE INDEX ON {name} (n)")\ndef downgrade():\n    op.execute("DROP TABLE x")\n'
    )
    assert harms(upgrade_sql(source)) == ["DROP TABLE", "CREATE INDEX ON x"]


def test_a_contraction_names_the_step_since_which_nobody_needs_what_goes() -> None:
    assert _contracts(_step("DROP TABLE jobs")) == "0001_catalogue"


def _changed(before: Signatures, after: Signatures) -> dict[str, set[str]]:
    """Functions that are not called any more as they were."""
    return {name: ways ^ after.get(name, set()) for name, ways in before.items() if ways != after.get(name)}


def _signatures(url: str) -> Signatures:
    """How each function is called."""
    found: Signatures = {}
    for one in catalogue_of(url):
        kind, _, call = one.partition(" ")
        if kind == "function":
            found.setdefault(call.partition("(")[0], set()).add(call)
    return found


def test_no_step_changes_how_a_function_is_called(postgres: str) -> None:
    """Of one with other arguments PostgreSQL makes a second, and the release before calls the first."""
    with fresh_database(postgres) as url:
        migrate(url, FIRST_RELEASE)
        before = _signatures(url)
        for path in _steps():
            migrate(url, path.stem)
            after = _signatures(url)
            changed = _changed(before, after)
            assert changed == {} or _may_contract(path), f"{path.name}: {changed}"
            before = after
        with psycopg.connect(url) as connection:
            connection.execute("ALTER FUNCTION load_ahead RENAME TO load_before")
            connection.execute("CREATE FUNCTION write_down(p_one text) RETURNS text RETURN p_one")
        assert _changed(before, _signatures(url)).keys() == {"load_ahead", "write_down"}


def test_files_are_named_by_their_revision_and_numbered_without_a_gap() -> None:
    names = known_revisions()
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for name in names:
        assert f'revision = "{name}"' in (migrations_folder() / "versions" / f"{name}.py").read_text()
