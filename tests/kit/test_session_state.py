"""No statement of the service leaves anything in a session: behind a pooler the next client would have it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "booking_tasks"
#: Run by a superuser or a migrator, who are not behind a pooler.
_NOT_THE_SERVICE = ("ops/access/", "_migrations/")
#: The one statement that sets a session's settings does so only when no pooler stands between.
_ALLOWED = {("kit/pooler.py", "set_config")}

_STATE = {
    "advisory lock of a session": re.compile(r"pg_(?:try_)?advisory_(?:un)?lock(?:_shared|_all)?\b"),
    "SET": re.compile(r"(?:\A|;)\s*(?:RE)?SET\s+(?!LOCAL\b|TRANSACTION\b|CONSTRAINTS\b)[A-Za-z_]+"),
    "set_config": re.compile(r"set_config\([^;]*?,\s*false\s*\)", re.IGNORECASE),
    "temporary table": re.compile(r"\bCREATE\s+(?:LOCAL\s+)?TEMP(?:ORARY)?\b|\bpg_temp\.\w"),
    "LISTEN": re.compile(r"\b(?:UN)?LISTEN\s+\w"),
    "cursor": re.compile(r"\bWITH\s+HOLD\b"),
    "prepared statement": re.compile(r"^\s*(?:PREPARE|DEALLOCATE)\s+\w", re.MULTILINE),
}


def session_state(statement: str) -> set[str]:
    """What a statement would leave in its session."""
    return {name for name, pattern in _STATE.items() if pattern.search(statement)}


def _statements(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sql":
        yield re.sub(r"--.*", "", text)
        return
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Constant(value=str(found)):
                yield found
            case ast.Call(func=ast.Attribute(attr="set_config"), args=[_, _, ast.Constant(value=False)]):
                yield "set_config('', '', false)"


def test_no_statement_leaves_anything_in_its_session() -> None:
    found = {
        (file, name)
        for path in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.sql")]
        if not (file := path.relative_to(PACKAGE).as_posix()).startswith(_NOT_THE_SERVICE)
        for statement in _statements(path)
        for name in session_state(statement)
    }
    assert found <= _ALLOWED


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("SELECT pg_advisory_lock(1)", "advisory lock of a session"),
        ("SELECT pg_try_advisory_lock(1)", "advisory lock of a session"),
        ("SELECT pg_advisory_unlock_all()", "advisory lock of a session"),
        ("SET statement_timeout = '10s'", "SET"),
        ("RESET ALL", "SET"),
        ("SELECT set_config('lock_timeout', '1s', false)", "set_config"),
        ("CREATE TEMP TABLE jobs AS SELECT 1", "temporary table"),
        ("LISTEN jobs", "LISTEN"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "cursor"),
        ("PREPARE one AS SELECT 1", "prepared statement"),
    ],
)
def test_what_stays_in_a_session_is_recognised(statement: str, name: str) -> None:
    assert session_state(statement) == {name}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_advisory_xact_lock(1)",
        "SET LOCAL statement_timeout = '10s'",
        "SET TRANSACTION READ ONLY",
        "SELECT set_config('lock_timeout', '1s', true)",
        "UPDATE jobs\nSET state = 'done'",
    ],
)
def test_what_ends_with_its_transaction_is_allowed(statement: str) -> None:
    assert session_state(statement) == set()
