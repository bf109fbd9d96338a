"""Upgrading while it runs: one release beside the next, over one database."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from booking_tasks.kit.settings import settings
from booking_tasks.ops import migrate as migrations
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.migrate import known_revisions, migrate, refuse_older_schema
from booking_tasks.ops.schema_targets import SchemaError
from booking_tasks.retention.tasks import purge
from tests.accounts import as_superuser
from tests.catalogues import Catalogue, catalogue_of, differences, fresh_database
from tests.expanding import harms, upgrade_sql
from tests.mail.servers import Sink, post
from tests.ops.bookings import book_session, bookable
from tests.synthetic_steps import SyntheticSteps, synthetic_steps

__all__ = ["post", "synthetic_steps"]

#: A function's name -> the ways to call it.
Signatures = dict[str, set[str]]


@pytest.fixture
def effects(own_database: str, valkey: str, post: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with FakeMeetingPlatform() as platform:
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
    service_and_requester = bookable()
    book_session(*service_and_requester)
    one_step_ahead(as_superuser(own_database))
    book_session(*service_and_requester)
    purge()
    refuse_older_schema(own_database)


def test_the_schema_of_the_release_before_is_refused(
    own_database: str, synthetic_steps: SyntheticSteps
) -> None:
    needs = f"at {synthetic_steps.before} and this release needs {synthetic_steps.contract}"
    with pytest.raises(SchemaError, match=needs):
        refuse_older_schema(own_database)


@pytest.mark.parametrize("revision", ["0001_catalogue", "0007_time", "0027_judged_under_the_lock"])
def test_a_database_from_before_the_baseline_is_refused_with_what_to_do(
    own_database: str, revision: str
) -> None:
    with psycopg.connect(as_superuser(own_database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
    before = catalogue_of(as_superuser(own_database))
    for refused in (refuse_older_schema, migrate):
        with pytest.raises(SchemaError, match=rf"step {revision}\) .* make an empty database"):
            refused(as_superuser(own_database))
    assert differences(before, catalogue_of(as_superuser(own_database))) == []


def test_a_database_that_is_away_is_no_reason_not_to_start() -> None:
    refuse_older_schema("postgresql+psycopg://127.0.0.1:1/nothing")


def test_an_empty_database_is_a_reason(postgres: str) -> None:
    with fresh_database(postgres) as url, pytest.raises(SchemaError, match="at nothing"):
        refuse_older_schema(url)


def test_a_step_that_cannot_have_its_locks_gives_up_soon_and_leaves_nothing(
    postgres: str, monkeypatch: pytest.MonkeyPatch, synthetic_steps: SyntheticSteps
) -> None:
    monkeypatch.setenv("BOOKING_LOCK_TIMEOUT", "0.2s")
    settings.cache_clear()
    with fresh_database(postgres) as url:
        migrate(url, synthetic_steps.before)
        before = catalogue_of(url)
        with psycopg.connect(url) as holder:
            holder.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(SchemaError, match="run booking-tasks migrate again"):
                migrate(url)
        assert differences(before, catalogue_of(url)) == []
        migrate(url)
    settings.cache_clear()


# -- expand, then contract -------------------------------------------------------------------------------


def _contracts(source: str) -> str | None:
    """The step named by `contracts = "..."`: the one since whose release nobody needs what goes here."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "contracts":
            return str(ast.literal_eval(node.value))
    return None


def _steps() -> list[tuple[str, Path]]:
    """Every step behind the baseline, the synthetic ones included: the revision before it, and its file."""
    revisions = known_revisions()
    folder = migrations.migrations_folder() / "versions"
    return [(before, folder / f"{one}.py") for before, one in pairwise(revisions)]


def _may_contract(path: Path) -> bool:
    """Whether the step says since when nobody needs what goes here."""
    since = _contracts(path.read_text())
    return since in known_revisions() and since < path.stem


def test_the_synthetic_steps_go_up_and_exactly_back(postgres: str, synthetic_steps: SyntheticSteps) -> None:
    with fresh_database(postgres) as url:
        on_the_way = []
        for revision in (synthetic_steps.before, synthetic_steps.expand, synthetic_steps.contract):
            migrate(url, revision)
            on_the_way.append(catalogue_of(url))
        assert _functions(on_the_way) == [
            {synthetic_steps.old_function},
            {synthetic_steps.old_function, synthetic_steps.new_function},
            {synthetic_steps.new_function},
        ]
        assert ["column free_slots.synthetic" in one for one in on_the_way] == [False, True, True]
        for catalogue in reversed(on_the_way[:-1]):
            migrate(url, "-1")
            assert differences(catalogue, catalogue_of(url)) == []


def _functions(catalogues: list[Catalogue]) -> list[set[str]]:
    """The versions of the replaced function in each catalogue."""
    return [
        {name.partition(" ")[2].partition("(")[0] for name in one if name.startswith("function lock_pool_v")}
        for one in catalogues
    ]


@pytest.mark.usefixtures("synthetic_steps")
def test_no_step_takes_away_what_the_release_before_needs_or_makes_it_wait() -> None:
    for before, path in _steps():
        harmful = harms(upgrade_sql(before, path.stem))
        assert harmful == [] or _may_contract(path), f"{path.name}: {harmful}, and no step since"


def test_a_contraction_is_found_in_the_calls_of_the_helpers(synthetic_steps: SyntheticSteps) -> None:
    assert harms(upgrade_sql(synthetic_steps.expand, synthetic_steps.contract)) == ["DROP FUNCTION"]


def test_statements_are_read_wherever_a_step_keeps_them(synthetic_steps: SyntheticSteps) -> None:
    sql = upgrade_sql(synthetic_steps.before, synthetic_steps.expand)
    assert "ALTER TABLE jobs ADD COLUMN note text;" in sql
    assert "COMMENT ON COLUMN jobs.note IS 'synthetic';" in sql
    assert f"CREATE FUNCTION {synthetic_steps.new_function}(" in sql
    assert "CREATE OR REPLACE VIEW free_slots" in sql


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE jobs DROP COLUMN args",
        "DROP TABLE jobs",
        "DROP INDEX uq_jobs_key",
        "ALTER TABLE jobs DROP CONSTRAINT uq_jobs_key",
        "ALTER TABLE jobs ALTER COLUMN n DROP DEFAULT",
        "DO $$ BEGIN ALTER TABLE jobs ADD CONSTRAINT uq_jobs_n UNIQUE (n); END $$",
        "ALTER TABLE jobs RENAME COLUMN a TO b",
        "ALTER TABLE jobs ALTER COLUMN last_error SET NOT NULL",
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
    assert len(harms(sql)) == 1


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
    assert harms(sql) == []


@pytest.mark.usefixtures("synthetic_steps")
def test_steps_are_written_in_sql_which_is_what_is_read_here() -> None:
    for _, path in _steps():
        named = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        used = {one.attr for one in named if isinstance(one.value, ast.Name) and one.value.id == "op"}
        assert used <= {"execute", "get_context"}, path.name


def test_a_contraction_names_the_step_since_which_nobody_needs_what_goes(
    synthetic_steps: SyntheticSteps,
) -> None:
    path = synthetic_steps.folder / "versions" / f"{synthetic_steps.contract}.py"
    assert _contracts(path.read_text()) == synthetic_steps.expand
    assert _may_contract(path)
    assert not _may_contract(path.with_stem(synthetic_steps.expand))


def _changed(before: Signatures, after: Signatures) -> dict[str, set[str]]:
    """Functions that are not called any more as they were."""
    return {name: ways ^ after.get(name, set()) for name, ways in before.items() if ways != after.get(name)}


def _signatures(url: str) -> Signatures:
    """How each function is called."""
    found: Signatures = {}
    for one in catalogue_of(url):
        object_type, _, call = one.partition(" ")
        if object_type == "function":
            found.setdefault(call.partition("(")[0], set()).add(call)
    return found


@pytest.mark.usefixtures("synthetic_steps")
def test_no_step_changes_how_a_function_is_called(postgres: str) -> None:
    """Of one with other arguments PostgreSQL makes a second, and the release before calls the first."""
    with fresh_database(postgres) as url:
        migrate(url, known_revisions()[0])
        before = _signatures(url)
        for _, path in _steps():
            migrate(url, path.stem)
            after = _signatures(url)
            changed = _changed(before, after)
            assert changed == {} or _may_contract(path), f"{path.name}: {changed}"
            before = after
        with psycopg.connect(url) as connection:
            connection.execute("ALTER FUNCTION free_time_v2 RENAME TO free_time_v9")
            connection.execute("CREATE FUNCTION append_event_v1(p_one text) RETURNS text RETURN p_one")
        assert _changed(before, _signatures(url)).keys() == {"free_time_v2", "append_event_v1"}


def test_files_are_named_by_their_revision_and_numbered_without_a_gap() -> None:
    names = known_revisions()
    folder = migrations.migrations_folder() / "versions"
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for name in names:
        assert f'revision = "{name}"' in (folder / f"{name}.py").read_text()
