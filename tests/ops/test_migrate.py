"""`booking-tasks migrate`: up, down, what it refuses, what it asks, and what its scripts contain."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from booking_tasks.ops.migrate import known_revisions, migrate
from booking_tasks.ops.schema_targets import SchemaError, is_down, target_step
from booking_tasks.ops.secret_files import roles_sql
from tests.accounts import as_role
from tests.catalogues import fresh_database, run_script
from tests.synthetic_steps import SyntheticSteps, synthetic_steps

__all__ = ["synthetic_steps"]

STEPS = ("0001_baseline", "0002_second", "0003_third")
COMMAND = (sys.executable, "-m", "booking_tasks.ops", "migrate")


@pytest.mark.parametrize(
    ("target", "current", "expected"),
    [
        ("head", None, "0003_third"),
        ("head", "0003_third", "0003_third"),
        ("base", "0002_second", None),
        ("0002_second", None, "0002_second"),
        ("0002", "0003_third", "0002_second"),
        ("-1", "0003_third", "0002_second"),
        ("-3", "0003_third", None),
        ("+1", None, "0001_baseline"),
        ("+2", "0001_baseline", "0003_third"),
    ],
)
def test_a_target_is_one_step(target: str, current: str | None, expected: str | None) -> None:
    assert target_step(target, current, STEPS) == expected


@pytest.mark.parametrize(
    ("target", "current", "fault"),
    [
        ("000", None, "'000' is no step of this release: write head, base, -1 or one of 0001_baseline"),
        ("", None, "'' is no step"),
        ("0004", None, "'0004' is no step"),
        ("heads", None, "'heads' is no step"),
        ("-2", "0001_baseline", "-2 leads out of the steps"),
        ("+1", "0003_third", r"\+1 leads out of the steps"),
        ("-1", "0009_future", "0009_future, a step of a newer release"),
    ],
)
def test_a_target_that_is_no_step_is_refused_with_the_remedy(
    target: str, current: str | None, fault: str
) -> None:
    with pytest.raises(SchemaError, match=fault):
        target_step(target, current, STEPS)


def test_an_older_step_is_down_and_a_newer_one_up() -> None:
    assert is_down("0001_baseline", "0002_second", STEPS)
    assert is_down(None, "0001_baseline", STEPS)
    assert not is_down("0003_third", "0002_second", STEPS)
    assert not is_down("0002_second", "0002_second", STEPS)
    with pytest.raises(SchemaError, match="leave the schema as it is"):
        is_down("0001_baseline", "0009_future", STEPS)


@pytest.fixture
def empty(postgres: str) -> Iterator[str]:
    with fresh_database(postgres) as url:
        yield url


def step_of(url: str) -> str | None:
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def test_an_older_step_goes_down(empty: str, synthetic_steps: SyntheticSteps) -> None:
    migrate(empty)
    newest = step_of(empty)
    migrate(empty, synthetic_steps.expand)
    assert step_of(empty) == synthetic_steps.expand
    migrate(empty, known_revisions()[0])
    assert step_of(empty) == known_revisions()[0]
    migrate(empty)
    assert step_of(empty) == newest


def test_a_database_that_is_ahead_stays_as_it_is(empty: str, capsys: pytest.CaptureFixture[str]) -> None:
    migrate(empty)
    with psycopg.connect(empty) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    migrate(empty)
    assert (
        capsys.readouterr().err
        == "the database is at 9999_future, a step of a newer release: nothing to do\n"
    )
    with pytest.raises(SchemaError, match="only the newer release can go down"):
        migrate(empty, known_revisions()[0])
    assert step_of(empty) == "9999_future"


def run(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=os.environ | {"DATABASE_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def answered(url: str, answer: bytes) -> int:
    """The exit code of `migrate base` in a terminal where this is typed."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "base"],
        env=os.environ | {"DATABASE_URL": url},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        os.write(controller, answer)
        code = process.wait(100)
    os.close(controller)
    return code


def test_base_asks_before_it_removes_everything(empty: str) -> None:
    migrate(empty)
    newest = step_of(empty)
    refused = run(empty, "base")
    assert refused.returncode == 1
    [line] = refused.stderr.splitlines()
    assert "removes every table" in line
    assert "add --yes" in line

    assert answered(empty, b"n\n") == 1
    assert step_of(empty) == newest
    assert answered(empty, b"y\n") == 0
    assert step_of(empty) is None

    migrate(empty)
    assert run(empty, "base", "--yes").returncode == 0
    assert step_of(empty) is None


@pytest.mark.parametrize("target", ["0099", "-9", "heads"])
def test_a_wrong_target_is_one_line(empty: str, target: str) -> None:
    failed = run(empty, "--", target)
    assert (failed.returncode, failed.stdout) == (1, "")
    [line] = failed.stderr.splitlines()
    assert known_revisions()[0] in line


def test_a_range_is_printed_in_its_direction(
    synthetic_steps: SyntheticSteps, capsys: pytest.CaptureFixture[str]
) -> None:
    below, above = synthetic_steps.before, synthetic_steps.expand
    for written, way, statement in (
        (f"{below}:{above}", f"{below}:{above}", "ALTER TABLE jobs ADD COLUMN note"),
        (f"{above}:{below}", f"{above}:{below}", "ALTER TABLE jobs DROP COLUMN note"),
        (f"{above}:-1", f"{above}:{below}", "ALTER TABLE jobs DROP COLUMN note"),
        (f"{below}:+1", f"{below}:{above}", "ALTER TABLE jobs ADD COLUMN note"),
    ):
        migrate(revision=written, sql=True)
        printed = capsys.readouterr().out
        assert printed.startswith(f"-- booking-tasks migrate --sql {way}\n")
        assert statement in printed
        assert "CREATE TABLE consultation_requests" not in printed
        assert printed.count("$where_roles_exist$") == 2


def rights_of(url: str) -> set[tuple[str, str, str]]:
    """Who may do what with which table or column, but the owner."""
    granted = """
        SELECT grantee, table_name || '.' || column_name, privilege_type
          FROM information_schema.column_privileges
         WHERE grantee IN ('booking_app', 'booking_web', 'booking_reader')
    """
    with psycopg.connect(url) as connection:
        return {(str(a), str(b), str(c)) for a, b, c in connection.execute(granted.encode())}


def test_the_printed_script_holds_the_grants(postgres: str) -> None:
    printed = run("postgresql://nobody@127.0.0.1:1/nothing", "--sql").stdout
    with fresh_database(postgres) as by_hand, fresh_database(postgres) as by_command:
        for url in (by_hand, by_command):
            with psycopg.connect(url, autocommit=True) as superuser:
                superuser.execute(roles_sql().encode())
        with psycopg.connect(as_role(by_hand, "booking_migrator"), autocommit=True) as migrator:
            run_script(migrator, printed)
        migrate(as_role(by_command, "booking_migrator"))
        assert rights_of(by_hand) == rights_of(by_command) != set()
