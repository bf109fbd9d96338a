"""The SQL of this package: one source for each function, checked, listed, and packed into the wheel."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from booking_tasks import sql
from booking_tasks.ops.migrate import migrate, migrations_folder
from booking_tasks.ops.schema_steps import frozen_text
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
        for name in re.findall(r'query\(__package__, "(\w+)"\)', path.read_text())
    }
    assert used == {(path.parent.parent.name, path.stem) for path in PACKAGE.glob("*/queries/*.sql")}


# -- plpgsql_check -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checked(system_postgres: str) -> Iterator[psycopg.Connection]:
    """A migrated database with the extension plpgsql_check (Debian: postgresql-15-plpgsql-check)."""
    with fresh_database(system_postgres) as url:
        migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT count(*) FROM pg_available_extensions WHERE name = 'plpgsql_check'"
            ).fetchone()
            if found == (0,):
                _missing("plpgsql_check is not installed: apt-get install postgresql-15-plpgsql-check")
            connection.execute("CREATE EXTENSION plpgsql_check")
            yield connection


def _missing(reason: str) -> None:
    if os.environ.get("BOOKING_REQUIRE_SYSTEM_POSTGRES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _findings(connection: psycopg.Connection, function: str) -> list[str]:
    rows = connection.execute(
        "SELECT c FROM plpgsql_check_function(%s, extra_warnings => true, performance_warnings => true,"
        " security_warnings => true, compatibility_warnings => true) c",
        [function],
    )
    return [row[0] for row in rows]


def test_plpgsql_check_finds_nothing_in_any_function(checked: psycopg.Connection) -> None:
    functions = checked.execute(
        """
        SELECT p.oid::regprocedure::text
          FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
         WHERE p.pronamespace = 'public'::regnamespace AND l.lanname = 'plpgsql'
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        """
    ).fetchall()
    assert len(functions) >= 10
    assert {name: found for (name,) in functions if (found := _findings(checked, name))} == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("PERFORM missing_column FROM jobs;", "missing_column"),
        ("IF FALSE THEN PERFORM no_such_function(); END IF;", "no_such_function"),
        ("used := 'never read';", "never read"),
    ],
)
def test_plpgsql_check_sees_what_creating_a_function_does_not(
    checked: psycopg.Connection, body: str, said: str
) -> None:
    checked.execute(
        f"CREATE OR REPLACE FUNCTION broken() RETURNS void LANGUAGE plpgsql"
        f" AS $$ DECLARE used text; BEGIN {body} END $$".encode()
    )
    assert any(said in one for one in _findings(checked, "broken()"))
    checked.execute("DROP FUNCTION broken()")
