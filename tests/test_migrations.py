"""Migrations: up, down and up again with rows in the tables, one by one, as SQL, by two at once.

Everything here runs on the tests' own PostgreSQL and on the one installed on this machine.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory

from booking_tasks.ops.migrate import alembic_config, migrate, migrations_folder
from booking_tasks.ops.servers import wait_until
from tests.catalogues import catalogue_of, database_of_models, differences, fresh_database, run_script
from tests.migration_rows import ROWS
from tests.synthetic_steps import SyntheticSteps, synthetic_steps

__all__ = ["synthetic_steps"]

REVISIONS = [one.revision for one in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]


@pytest.fixture
def empty(server: str) -> Iterator[str]:
    with fresh_database(server) as url:
        yield url


def _fill(url: str, revision: str) -> None:
    """Put rows into the tables of one step; what an earlier round left there stays."""
    with psycopg.connect(url) as connection:
        for statement in ROWS[revision].values():
            connection.execute(statement.encode())


def _counts(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        names = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        counts = {}
        for (name,) in names:
            row = connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchone()
            assert row is not None
            counts[name] = row[0]
    return counts


def test_the_two_servers_are_two_versions(postgres: str, system_postgres: str) -> None:
    versions = set()
    for url in (postgres, system_postgres):
        with psycopg.connect(url) as connection:
            versions.add(connection.info.server_version // 10_000)

    assert len(versions) == 2
    assert versions <= set(range(15, 19))


def test_every_table_of_every_step_has_rows_to_be_tested_with(empty: str) -> None:
    made = {}
    known = {"alembic_version"}
    for revision in REVISIONS:
        migrate(empty, revision)
        made[revision] = _counts(empty).keys() - known
        known |= made[revision]

    assert {revision: set(tables) for revision, tables in ROWS.items()} == made


def test_up_down_and_up_again_with_rows_gives_the_same_schema(empty: str) -> None:
    before = catalogue_of(empty)
    migrate(empty)
    first = catalogue_of(empty)
    for revision in REVISIONS:
        _fill(empty, revision)
    assert {name for name, rows in _counts(empty).items() if not rows} == set()

    migrate(empty, "base")
    left = catalogue_of(empty)
    assert differences(before | {"extension btree_gist": ""}, left) == []

    migrate(empty)
    assert differences(first, catalogue_of(empty)) == []


def test_each_step_with_rows_goes_up_and_exactly_back(empty: str) -> None:
    on_the_way = []
    for revision in REVISIONS:
        on_the_way.append(catalogue_of(empty))
        migrate(empty, revision)
        _fill(empty, revision)
    top = catalogue_of(empty)
    on_the_way[0]["extension btree_gist"] = ""

    for revision, below in zip(reversed(REVISIONS), reversed(on_the_way), strict=True):
        rows = _counts(empty)
        migrate(empty, "-1")
        assert differences(below, catalogue_of(empty)) == [], f"down from {revision}"
        kept = _counts(empty)
        assert {name: kept[name] for name in kept if name != "alembic_version"}.items() <= rows.items()

    for revision in REVISIONS:
        migrate(empty, revision)
        _fill(empty, revision)
    assert differences(top, catalogue_of(empty)) == []


def test_a_step_back_that_leaves_something_behind_is_noticed(
    empty: str, synthetic_steps: SyntheticSteps
) -> None:
    migrate(empty, synthetic_steps.before)
    below = catalogue_of(empty)
    migrate(empty, synthetic_steps.expand)
    with psycopg.connect(empty) as connection:
        connection.execute("CREATE INDEX ix_forgotten ON directory_users (name)")
    migrate(empty, "-1")

    assert any("ix_forgotten" in line for line in differences(below, catalogue_of(empty)))


def test_the_models_make_the_same_schema_on_this_version(server: str, empty: str) -> None:
    migrate(empty)
    with database_of_models(server) as url:
        assert differences(catalogue_of(empty), catalogue_of(url)) == []


def _python(program: str, url: str) -> list[str]:
    return [sys.executable, "-c", f"url = {url!r}\nfrom booking_tasks.ops.migrate import migrate\n{program}"]


def _offline(program: str) -> str:
    """The SQL that an offline run prints; it is told of no database that could answer."""
    nowhere = os.environ | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    ran = subprocess.run(_python(program, ""), capture_output=True, text=True, check=True, env=nowhere)
    return ran.stdout


def test_the_printed_sql_makes_and_removes_the_same_schema(server: str, empty: str) -> None:
    with fresh_database(server) as by_hand, psycopg.connect(by_hand, autocommit=True) as connection:
        run_script(connection, _offline("migrate(sql=True)"))
        migrate(empty)
        assert differences(catalogue_of(empty), catalogue_of(by_hand)) == []

        run_script(connection, _offline("migrate(revision='base', sql=True)"))
        migrate(empty, "base")
        assert differences(catalogue_of(empty), catalogue_of(by_hand)) == []


def _migration_lock() -> int:
    tree = ast.parse((migrations_folder() / "env.py").read_text())
    found = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "MIGRATION_LOCK"
    ]
    return int(found[0])


def test_two_migrators_at_once_both_finish_and_make_one_schema(
    server: str, empty: str, tmp_path: Path
) -> None:
    with psycopg.connect(empty, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(%s)", [_migration_lock()])
        migrators = [
            subprocess.Popen(_python("migrate(url)", empty), stderr=(tmp_path / f"{number}").open("w"))
            for number in range(2)
        ]

        def both_wait() -> bool:
            row = gate.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND (query LIKE '%pg_try_advisory_lock%' OR query = 'COMMIT')"
            ).fetchone()
            return row == (2,)

        wait_until(both_wait, "two migrators at the gate")
        gate.execute("SELECT pg_advisory_unlock(%s)", [_migration_lock()])
        codes = [one.wait(60) for one in migrators]

    assert codes == [0, 0], [path.read_text() for path in tmp_path.iterdir()]
    with database_of_models(server) as url:
        assert differences(catalogue_of(empty), catalogue_of(url)) == []


# -- the schema this service started from ------------------------------------------------------------

#: Name -> (type, whether it must be given or defaulted, default). Seed columns only.
Columns = dict[str, tuple[str, bool, str | None]]

_ID = ("uuid", True, "gen_random_uuid()")
_CREATED = ("timestamp with time zone", False, "now()")
_INSTANT = ("timestamp with time zone", False, None)
_NEEDED_INSTANT = ("timestamp with time zone", True, None)
_NEEDED_ID = ("uuid", True, None)
_OPTIONAL_ID = ("uuid", False, None)
_TEXT = ("text", False, None)
_VARCHAR = ("character varying", False, None)

SEED_COLUMNS: dict[str, Columns] = {
    "consultation_service_types": {
        "id": _ID,
        "name": ("character varying", True, None),
        "description": _TEXT,
        "default_duration_minutes": ("integer", True, None),
        "is_active": ("boolean", False, "true"),
        "created_at": _CREATED,
        "updated_at": _INSTANT,
    },
    "consultant_profiles": {
        "consultant_user_id": _NEEDED_ID,
        "bio": _TEXT,
        "specializations": ("text[]", False, "'{}'::text[]"),
        "is_available_for_booking": ("boolean", False, "true"),
        "created_at": _CREATED,
        "updated_at": _INSTANT,
    },
    "consultant_availability_slots": {
        "id": _ID,
        "consultant_user_id": _NEEDED_ID,
        "start_time": _NEEDED_INSTANT,
        "end_time": _NEEDED_INSTANT,
        "is_recurring": ("boolean", False, "false"),
        "recurrence_rule": _VARCHAR,
        "status": ("character varying", False, "'available'::character varying"),
        "created_at": _CREATED,
        "updated_at": _INSTANT,
    },
    "consultation_requests": {
        "id": _ID,
        "requester_user_id": _NEEDED_ID,
        "company_id": _OPTIONAL_ID,
        "consultation_service_type_id": _NEEDED_ID,
        "preferred_consultant_user_id": _OPTIONAL_ID,
        "preferred_start_time": _INSTANT,
        "preferred_end_time": _INSTANT,
        "request_details": _TEXT,
        "status": ("character varying", True, "'pending'::character varying"),
        "requested_at": _CREATED,
        "updated_at": _INSTANT,
        "assigned_consultant_user_id": _OPTIONAL_ID,
        "scheduled_session_id": _OPTIONAL_ID,
    },
    "scheduled_sessions": {
        "id": _ID,
        "consultation_request_id": _NEEDED_ID,
        "requester_user_id": _NEEDED_ID,
        "consultant_user_id": _NEEDED_ID,
        "consultation_service_type_id": _NEEDED_ID,
        "scheduled_start_time": _NEEDED_INSTANT,
        "scheduled_end_time": _NEEDED_INSTANT,
        "meeting_platform_session_id": _VARCHAR,
        "meeting_platform_join_url": _TEXT,
        "status": ("character varying", True, "'scheduled'::character varying"),
        "outcome_notes": _TEXT,
        "billed_amount": ("numeric(10,2)", False, None),
        "created_at": _CREATED,
        "updated_at": _INSTANT,
    },
}

SEED_KEYS = {
    "consultation_service_types": {"PRIMARY KEY (id)", "UNIQUE (name)"},
    "consultant_profiles": {"PRIMARY KEY (consultant_user_id)"},
    "consultant_availability_slots": {
        "PRIMARY KEY (id)",
        "FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles(consultant_user_id)",
    },
    "consultation_requests": {
        "PRIMARY KEY (id)",
        "FOREIGN KEY (consultation_service_type_id) REFERENCES consultation_service_types(id)",
        "FOREIGN KEY (preferred_consultant_user_id) REFERENCES consultant_profiles(consultant_user_id)",
        "FOREIGN KEY (assigned_consultant_user_id) REFERENCES consultant_profiles(consultant_user_id)",
        "FOREIGN KEY (scheduled_session_id) REFERENCES scheduled_sessions(id)",
        "UNIQUE (scheduled_session_id)",
    },
    "scheduled_sessions": {
        "PRIMARY KEY (id)",
        "FOREIGN KEY (consultation_request_id) REFERENCES consultation_requests(id)",
        "FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles(consultant_user_id)",
        "FOREIGN KEY (consultation_service_type_id) REFERENCES consultation_service_types(id)",
        "UNIQUE (consultation_request_id)",
    },
}

SEED_INDEXES = {
    "consultant_availability_slots": {"(consultant_user_id, start_time, end_time)", "(status)"},
    "scheduled_sessions": {
        "(consultant_user_id, scheduled_start_time)",
        "(requester_user_id, scheduled_start_time)",
        "(status)",
    },
}


@pytest.fixture(scope="session")
def migrated(server: str) -> Iterator[str]:
    with fresh_database(server) as url:
        migrate(url)
        yield url


@pytest.mark.parametrize("table", SEED_COLUMNS)
def test_the_seed_columns_are_there_and_what_the_seed_left_open_stays_open(migrated: str, table: str) -> None:
    with psycopg.connect(migrated) as connection:
        found = {
            name: (type_, needed, default)
            for name, type_, needed, default in connection.execute(
                """
                SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                       pg_get_expr(e.adbin, e.adrelid)
                  FROM pg_attribute a
                  LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
                 WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
                """,
                [table],
            )
        }

    for name, (type_, needed, default) in SEED_COLUMNS[table].items():
        assert found[name][0] == type_, name
        assert found[name][2] == default, name
        assert found[name][1] or not needed, f"{name} must be NOT NULL"
    # A column may be stricter than the seed, or new, only if whoever writes by the seed never notices.
    for name, (_, not_null, default) in found.items():
        if not_null and default is None:
            assert SEED_COLUMNS[table][name][1], f"{name} would refuse a row that the seed allows"
    assert not {"price_per_session", "average_rating"} & found.keys()


@pytest.mark.parametrize("table", SEED_KEYS)
def test_the_seed_keys_and_references_are_there(migrated: str, table: str) -> None:
    with psycopg.connect(migrated) as connection:
        found = {
            definition
            for (definition,) in connection.execute(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass", [table]
            )
        }

    assert SEED_KEYS[table] - found == set()


@pytest.mark.parametrize("table", SEED_INDEXES)
def test_the_seed_indexes_are_there(migrated: str, table: str) -> None:
    with psycopg.connect(migrated) as connection:
        found = {
            definition.partition(" USING btree ")[2]
            for (definition,) in connection.execute(
                "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = %s", [table]
            )
        }

    assert SEED_INDEXES[table] - found == set()
