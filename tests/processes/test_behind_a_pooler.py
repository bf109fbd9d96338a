"""The commands behind a pooler: they start, or say in one line what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from tests.accounts import APP, as_superuser
from tests.pgbouncer import PgBouncer

pytestmark = [
    pytest.mark.pgbouncer,
    pytest.mark.stack,
    pytest.mark.parametrize("own_database", ["pooled"], indirect=True),
]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "booking_tasks.ops", *arguments],
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.fixture
def without_limits(own_database: str) -> str:
    """The same database, whose role has no limits, as before `booking-tasks roles` was run."""
    name = own_database.rpartition("/")[2]
    with psycopg.connect(as_superuser(own_database), autocommit=True) as superuser:
        superuser.execute(f"ALTER ROLE {APP} IN DATABASE {name} RESET ALL".encode())
    return own_database


@pytest.mark.parametrize(
    "arguments", [("worker", "-P", "solo"), ("beat",), ("web", "--port", "0"), ("metrics", "--port", "0")]
)
@pytest.mark.usefixtures("without_limits", "valkey")
def test_a_role_without_limits_is_refused_at_start_with_the_remedy(arguments: tuple[str, ...]) -> None:
    links = {"BOOKING_PUBLIC_URL": "https://b.example.org", "BOOKING_LINK_SECRET": "s" * 32}  # for web
    ended = run(*arguments, **links)
    assert ended.returncode == 1
    lines = [one for one in ended.stderr.splitlines() if "pooler" in one]
    assert len(lines) == 1, ended.stderr
    [line] = lines
    assert "statement_timeout 0 instead of 30000ms" in line
    assert "booking-tasks roles" in line
    assert "Traceback" not in ended.stderr


@pytest.fixture
def statement_mode(
    own_database: str,
    postgres: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """The same database behind a pooler of statements."""
    with PgBouncer(tmp_path_factory.mktemp("pgbouncer"), postgres, "statement") as running:
        monkeypatch.setenv("DATABASE_URL", running.url_of(own_database))
        yield


@pytest.mark.parametrize("arguments", [("worker", "-P", "solo"), ("beat",)])
@pytest.mark.usefixtures("statement_mode", "valkey")
def test_a_pooler_of_statements_is_refused_at_start_with_the_remedy(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert ended.returncode == 1
    [line] = [one for one in ended.stderr.splitlines() if "pooler" in one]
    assert line.endswith("set pool_mode = transaction or session in the pooler, for this database and role")
    assert "Traceback" not in ended.stderr


@pytest.mark.usefixtures("statement_mode", "valkey")
def test_check_reports_a_pooler_of_statements() -> None:
    found = pooler_finding()
    assert found["state"] == "broken"
    assert "pool_mode = statement" in found["seen"]
    assert found["remedy"].startswith("set pool_mode = transaction or session")


def pooler_finding(**environment: str) -> dict[str, str]:
    found = [
        one for one in json.loads(run("check", "--json", **environment).stdout) if one["check"] == "pooler"
    ]
    assert len(found) == 1
    return dict(found[0])


@pytest.mark.usefixtures("own_database", "valkey")
def test_check_names_the_pooler_its_mode_and_the_limits_in_force() -> None:
    found = pooler_finding()
    assert found["state"] == "ok"
    assert found["seen"] == (
        "a pooler in transaction mode; statement_timeout 30s, lock_timeout 10s,"
        " idle_in_transaction_session_timeout 1min, client_connection_check_interval 1s"
    )


@pytest.mark.usefixtures("without_limits", "valkey")
def test_check_reports_limits_that_are_silently_off() -> None:
    found = pooler_finding()
    assert found["state"] == "broken"
    assert "lock_timeout 0 instead of 10000ms" in found["seen"]
    assert "booking-tasks roles" in found["remedy"]


def test_check_names_a_direct_connection(own_database: str, postgres: str) -> None:
    direct = as_superuser(postgres).rpartition("/")[0] + "/" + own_database.rpartition("/")[2]
    found = pooler_finding(DATABASE_URL=direct)
    assert found["seen"].startswith("direct, no pooler; statement_timeout 30s, lock_timeout 10s,")


def test_only_a_migration_needs_the_direct_url(own_database: str, postgres: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    refused = run("migrate")
    assert refused.returncode == 1
    assert "set DATABASE_DIRECT_URL" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1

    direct = as_superuser(postgres).rpartition("/")[0] + "/" + own_database.rpartition("/")[2]
    file = tmp_path / "direct_url"
    file.write_text(direct + "\n")
    assert run("migrate", DATABASE_DIRECT_URL_FILE=str(file)).returncode == 0
