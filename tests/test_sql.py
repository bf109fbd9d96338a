"""The SQL of this package: one source for each function, checked, listed, and packed into the wheel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from booking_tasks import sql
from booking_tasks.contracts.hours import Travel
from booking_tasks.models import AllowedStep, Base
from booking_tasks.ops.migrate import migrate, migrations_folder
from booking_tasks.ops.schema_steps import frozen_text
from booking_tasks.requests.rules import NewRequest
from booking_tasks.states import status_steps
from tests.catalogues import fresh_database

PACKAGE = Path(sql.__file__).parent.parent
ROUTINES = (*sql.FUNCTIONS, *sql.VIEWS)
_CALL = re.compile(r"\b([a-z_]+)_v(\d+)\(")
_CREATED = re.compile(r"^CREATE (?:FUNCTION|VIEW) (\w+)", re.MULTILINE)


def source(name: str) -> str:
    return (PACKAGE / "sql" / f"{name}.sql").read_text()


def current_versions() -> dict[str, int]:
    """The version of each function that this release calls."""
    found = {}
    for name in sql.FUNCTIONS:
        created = _CREATED.search(source(name))
        assert created is not None, name
        base, _, version = created[1].rpartition("_v")
        assert base == name
        found[name] = int(version)
    return found


def test_every_file_is_a_function_or_a_view_that_is_listed() -> None:
    assert {path.stem for path in (PACKAGE / "sql").glob("*.sql")} == set(ROUTINES)
    assert len(ROUTINES) == len(set(ROUTINES))


@pytest.mark.parametrize("name", ROUTINES)
def test_the_newest_frozen_text_is_the_source(name: str) -> None:
    newest = max(int(path.stem[1:]) for path in (migrations_folder() / "sql" / name).glob("v*.sql"))
    assert frozen_text(name, newest) == source(name), f"freeze booking_tasks/sql/{name}.sql in a step"
    assert newest == current_versions().get(name, newest)


def test_every_call_of_a_function_is_of_its_current_version() -> None:
    current = current_versions()
    texts = {path: path.read_text() for suffix in ("py", "sql") for path in PACKAGE.rglob(f"*.{suffix}")}
    calls = {
        (str(path.relative_to(PACKAGE)), name, int(version))
        for path, text in texts.items()
        for name, version in _CALL.findall(text)
    }
    assert {one for one in calls if current.get(one[1]) != one[2]} == set()
    assert {name for _, name, _ in calls} == current.keys()


def test_a_function_is_listed_after_those_that_it_calls() -> None:
    for place, name in enumerate(sql.FUNCTIONS):
        called = {one for one, _ in _CALL.findall(source(name))} - {name}
        assert called <= set(sql.FUNCTIONS[:place]), name


def test_every_query_is_read_by_its_package_and_has_a_file() -> None:
    used = {
        (path.parent.name, name)
        for path in PACKAGE.glob("*/*.py")
        for name in re.findall(r'query(?:_text)?\(__package__, "(\w+)"\)', path.read_text())
    }
    assert used == {(path.parent.parent.name, path.stem) for path in PACKAGE.glob("*/queries/*.sql")}


# -- plpgsql_check -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checked(system_postgres: str) -> Iterator[psycopg.Connection]:
    """A migrated database with the extension plpgsql_check (Debian: postgresql-15-plpgsql-check)."""
    with fresh_database(system_postgres) as url:
        migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION plpgsql_check")
            yield connection


def _findings(connection: psycopg.Connection, function: str, table: str | None = None) -> list[str]:
    """What is wrong with a function; a trigger's is read for a table that has the trigger."""
    rows = connection.execute(
        "SELECT c FROM plpgsql_check_function(%s, coalesce(%s::regclass, 0), extra_warnings => true,"
        " performance_warnings => true, security_warnings => true, compatibility_warnings => true) c",
        [function, table],
    )
    return [row[0] for row in rows]


@pytest.mark.plpgsql_check
def test_plpgsql_check_finds_nothing_in_any_function(checked: psycopg.Connection) -> None:
    functions = checked.execute(
        """
        SELECT p.oid::regprocedure::text,
               (SELECT t.tgrelid::regclass::text FROM pg_trigger t WHERE t.tgfoid = p.oid LIMIT 1)
          FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
         WHERE p.pronamespace = 'public'::regnamespace AND l.lanname = 'plpgsql'
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        """
    ).fetchall()
    assert len(functions) >= 10
    found = {name: _findings(checked, name, table) for name, table in functions}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.plpgsql_check
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("PERFORM missing_column FROM jobs;", "missing_column"),
        ("IF FALSE THEN PERFORM no_such_function(); END IF;", "no_such_function"),
        ("used := 'never read';", "never read"),
    ],
)
def test_plpgsql_check_sees_what_creating_a_function_does_not(
    checked: psycopg.Connection, body: str, expected: str
) -> None:
    checked.execute(
        f"CREATE OR REPLACE FUNCTION broken() RETURNS void LANGUAGE plpgsql"
        f" AS $$ DECLARE used text; BEGIN {body} END $$".encode()
    )
    assert any(expected in one for one in _findings(checked, "broken()"))
    checked.execute("DROP FUNCTION broken()")


# -- columns -----------------------------------------------------------------------------------------------

#: Function and table -> the columns that the function does not insert, because they keep their default or
#: are written later.
_NOT_INSERTED = {
    ("append_event", "events"): {"position"},
    ("append_event", "jobs"): {
        "put_off_reason",
        "recoveries",
        "retry_at",
        "state",
        "attempts",
        "send_attempts",
        "lease_token",
        "lease_until",
        "payload",
        "last_error",
        "created_at",
        "finished_at",
    },
    # A request of a series names its consultant and its start, and never waits.
    ("book_start", "consultation_requests"): {
        "preferred_end_time",
        "required_specializations",
        "excluded_consultant_user_ids",
        "status_reason",
        "deadline_at",
        "replaces_request_id",
        "hold_token",
        "waiting_since",
        "offer_cooldown_until",
        "languages",
        "preferred_fallback",
        "fallback_after",
    },
    ("book_start", "scheduled_sessions"): {
        "meeting_platform_session_id",
        "meeting_platform_join_url",
        "status_reason",
        "outcome_notes",
        "billed_amount",
        "billed_currency",
        "billed_minor_units",
        "requester_attendance",
        "consultant_attendance",
        "judged_at",
        "updated_at",
        "substitute_user_id",
        "live_id",
        "serving_user_id",
    },
    ("book_start", "assignment_decisions"): set(),
    ("book_or_hold", "assignment_decisions"): set(),
    ("book_or_hold", "assignment_credits"): {"reverses", "cause_id", "reason", "is_counted", "created_at"},
    ("insert_reservation", "consultant_availability_slots"): {
        "is_recurring",
        "recurrence_rule",
        "created_at",
        "updated_at",
        "counted_from",
    },
    ("lock_pool", "assignment_balances"): {"created_at"},
    ("occupy_time", "occupied_times"): set(),
    ("lock_pool", "assignment_credits"): {
        "id",
        "consultation_request_id",
        "reverses",
        "cause_id",
        "reason",
        "created_at",
    },
}
_INSERT = re.compile(r"INSERT INTO (\w+)(?: AS \w+)? \(\s*([\w\s,]+?)\s*\)")
_RECORD = re.compile(r"jsonb_to_record(?:set)?\([^)]*\) AS \w+ \(\s*([\w\s,\[\]]+?)\s*\)")


def _names(text: str) -> list[str]:
    return re.split(r",\s*", text)


def _inserts() -> dict[tuple[str, str], list[set[str]]]:
    """Function and table -> the columns of each INSERT."""
    found: dict[tuple[str, str], list[set[str]]] = {}
    for name in sql.FUNCTIONS:
        for table, columns in _INSERT.findall(source(name)):
            found.setdefault((name, table), []).append(set(_names(columns)))
    return found


def test_a_column_is_inserted_by_each_function_or_listed_as_left_out() -> None:
    inserts = _inserts()
    assert inserts.keys() == _NOT_INSERTED.keys()
    for (name, table), lists in inserts.items():
        known = {column.name for column in Base.metadata.tables[table].columns}
        inserted = {column for columns in lists for column in columns}
        assert inserted <= known, name
        assert known - inserted == _NOT_INSERTED[name, table], f"{name} inserts into {table}"


def test_a_record_read_from_json_has_the_columns_and_types_of_the_model() -> None:
    types = {
        (column.name, type_name(column.type))
        for table in Base.metadata.tables.values()
        for column in table.columns
    }
    own = {"reservation", "session", "request", "starts", "ends", "new_request", "decision", "event", "jobs"}
    of_models = [name for name in sql.FUNCTIONS if name != "local_day"]
    records = [one for name in of_models for one in _RECORD.findall(source(name))]
    found = {tuple(field.split(" ", 1)) for record in records for field in _names(record)}
    assert len(records) >= 6
    assert {field for field in found if field[0] not in own} - types == set()


def test_a_trip_read_from_json_has_the_fields_of_the_contract() -> None:
    [record] = _RECORD.findall(source("local_day"))
    assert {field.split(" ", 1)[0] for field in _names(record)} == set(Travel.model_fields)


def type_name(type_: TypeEngine[Any]) -> str:
    """The name of a column's type as the SQL functions write it; character varying is read as text."""
    name = str(type_.compile(dialect=postgresql.dialect())).lower()  # type: ignore[no-untyped-call]
    return {"timestamp with time zone": "timestamptz", "varchar": "text"}.get(name, name)


def test_a_request_of_a_series_brings_the_columns_that_book_start_reads() -> None:
    [record] = [one for one in _RECORD.findall(source("book_start")) if "series_id" in one]
    read = {field.split(" ", 1)[0] for field in _names(record)}
    of_the_session = {"id", "requester_user_id", "consultation_service_type_id"}
    assert {field.name for field in fields(NewRequest)} == read | of_the_session


def test_the_database_allows_exactly_the_steps_of_the_states(db: Session) -> None:
    rows = db.execute(select(AllowedStep.aggregate, AllowedStep.before, AllowedStep.after)).all()
    assert sorted(map(tuple, rows)) == sorted(status_steps())
