"""The database refuses what breaks promise 1 and the allowed steps, whoever writes, on both versions."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.accounts import as_role
from tests.place.attacks import ATTACKS
from tests.place.guarded_tables import TABLES
from tests.place.legal import LEGAL
from tests.place.world import GENERATED, NO_RIGHT, READER, WRITERS, execute, world

#: What the service's own role may not even try.
_NO_RIGHT = {("booking_app", name) for name in TABLES}
#: Everything that the statements could change, as one text.
_ROWS = """
    SELECT string_agg(r, E'\\n' ORDER BY r) FROM (
        SELECT s::text FROM scheduled_sessions s
        UNION ALL SELECT f::text FROM consultant_availability_slots f
        UNION ALL SELECT o::text FROM occupied_times o
        UNION ALL SELECT q::text FROM consultation_requests q
        UNION ALL SELECT a::text FROM allowed_steps a
    ) AS t (r)
"""


@pytest.fixture(scope="module")
def url(server: str) -> Iterator[str]:
    with world(server) as url:
        yield url


@pytest.fixture(scope="module")
def connections(url: str) -> Iterator[dict[str, psycopg.Connection]]:
    opened = {role: psycopg.connect(as_role(url, role)) for role in (*WRITERS, READER)}
    yield opened
    for connection in opened.values():
        connection.close()


def _sqlstate(connection: psycopg.Connection, statements: tuple[str, ...]) -> str | None:
    """How a transaction of these statements ends: the SQLSTATE, or None when it is committed."""
    try:
        with connection.transaction():
            execute(connection, statements)
    except psycopg.Error as error:
        return error.sqlstate
    return None


def _rows(connection: psycopg.Connection) -> str:
    with connection.transaction():
        row = connection.execute(_ROWS).fetchone()
    assert row is not None
    return str(row[0])


def test_there_are_attacks_of_every_statement() -> None:
    statements = [" ".join(statements).upper() for statements, _ in ATTACKS.values()]
    for verb in ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "MERGE"):
        assert any(verb in one for one in statements)
    assert len(ATTACKS) >= 36


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(connections: dict[str, psycopg.Connection], role: str, name: str) -> None:
    statements, refused_with = ATTACKS[name]
    before = _rows(connections["postgres"])

    sqlstate = _sqlstate(connections[role], statements)

    assert sqlstate == (NO_RIGHT if (role, name) in _NO_RIGHT else refused_with)
    assert _rows(connections["postgres"]) == before


@pytest.mark.parametrize("name", ATTACKS)
def test_a_reader_may_try_nothing(connections: dict[str, psycopg.Connection], name: str) -> None:
    statements, refused_with = ATTACKS[name]
    writable = ("SET LOCAL transaction_read_only = off", *statements)

    # PostgreSQL looks at generated columns before it looks at rights.
    expected = GENERATED if refused_with == GENERATED else NO_RIGHT
    assert _sqlstate(connections[READER], writable) == expected


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_change_is_committed(
    connections: dict[str, psycopg.Connection], role: str, name: str
) -> None:
    """Only its effect is rolled back; the keys that a commit checks are checked before."""
    connection = connections[role]
    execute(connection, LEGAL[name])
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    connection.rollback()


@pytest.mark.parametrize("role", ["booking_migrator", "postgres"])
def test_whoever_empties_the_slot_ledger_empties_who_is_where(
    connections: dict[str, psycopg.Connection], role: str
) -> None:
    connection = connections[role]
    connection.execute("TRUNCATE consultant_availability_slots CASCADE")
    assert connection.execute("SELECT count(*) FROM occupied_times").fetchone() == (0,)
    connection.rollback()


def test_a_superuser_who_switches_triggers_off_is_outside_the_promise(
    connections: dict[str, psycopg.Connection],
) -> None:
    """Measured, and written in the README: nobody else may switch them off."""
    statements, _ = ATTACKS["move a session alone"]
    off = ("SET LOCAL session_replication_role = replica", *statements)

    for role in ("booking_app", "booking_migrator", READER):
        assert _sqlstate(connections[role], off) == NO_RIGHT
    execute(connections["postgres"], off)
    connections["postgres"].execute("SET CONSTRAINTS ALL IMMEDIATE")
    connections["postgres"].rollback()
