"""Commands whose database is away or does not fit print one line with the remedy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from booking_tasks.kit import database
from booking_tasks.kit.settings import settings
from booking_tasks.ops.cli import main
from booking_tasks.ops.servers import free_port
from tests.accounts import as_superuser

ID = str(uuid4())
DECIDED = ("--why", "the mail server is back", "--who", "ann")
COMMANDS = {
    "jobs list": ("jobs", "list"),
    "jobs show": ("jobs", "show", ID),
    "jobs replay": ("jobs", "replay", ID, *DECIDED),
    "jobs discard": ("jobs", "discard", "--all", *DECIDED),
    "dead list": ("dead", "list", "--json"),
    "dead show": ("dead", "show", ID),
    "dead replay": ("dead", "replay", ID, *DECIDED),
    "timeline": ("timeline", ID),
    "explain": ("explain", ID),
    "migrate": ("migrate",),
    "migrate base": ("migrate", "base", "--yes"),
    "availability free": ("availability", "free", ID),
    "availability uncovered": ("availability", "uncovered"),
}


@pytest.fixture(autouse=True)
def own_engine() -> Iterator[None]:
    """Neither settings nor an engine from the test before, or for the one after."""
    settings.cache_clear()
    database.engine.cache_clear()
    yield
    database.engine.cache_clear()
    settings.cache_clear()


def failure_of(command: tuple[str, ...], url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command that fails prints."""
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setattr(sys, "argv", ["booking-tasks", *command])
    with pytest.raises(SystemExit) as caught:
        main()
    assert isinstance(caught.value.code, str), caught.value.code  # printed to standard error; exit code 1
    [line] = caught.value.code.splitlines()
    return line


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_database_that_is_away_is_one_line(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = failure_of(command, f"postgresql://booking_app@127.0.0.1:{free_port()}/gone", monkeypatch)
    assert line.startswith("booking-tasks: the database cannot be reached: ")
    assert line.endswith("; start PostgreSQL, or correct DATABASE_URL")


def test_of_several_hosts_none_may_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{free_port()}"
    line = failure_of(("jobs", "list"), f"postgresql://booking_app@{hosts}/gone", monkeypatch)
    assert "cannot be reached" in line


def test_a_database_without_the_schema_is_one_line(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    line = failure_of(("jobs", "list"), postgres, monkeypatch)
    assert line.endswith("; run booking-tasks migrate")


def test_a_missing_database_is_one_line(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    line = failure_of(("dead", "list"), postgres.rpartition("/")[0] + "/missing", monkeypatch)
    assert 'database "missing" does not exist' in line


def test_a_role_without_rights_is_one_line(own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(as_superuser(own_database)) as superuser:
        superuser.execute("REVOKE SELECT ON jobs FROM booking_app")
    line = failure_of(("jobs", "list"), own_database, monkeypatch)
    assert line.startswith("booking-tasks: the database refuses: permission denied for table jobs")
    assert "booking-tasks roles" in line
