"""Committed rows for statements of every role: sessions of each status, holds, a kept time, a window."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.accounts import as_role, migrate_as_deployed
from tests.catalogues import fresh_database

#: SQLSTATEs (PostgreSQL, appendix A).
FOREIGN_KEY, UNIQUE, CHECK, EXCLUSION = "23503", "23505", "23514", "23P01"
RESTRICTED, GENERATED, REFERENCED, NO_RIGHT = "23001", "428C9", "0A000", "42501"

#: Statements, and the SQLSTATE that ends them.
Attack = tuple[tuple[str, ...], str]
#: Who may log in and change rows, in the order of their rights.
WRITERS = ("booking_app", "booking_migrator", "postgres")
READER = "booking_reader"


def uid(number: int) -> str:
    """The SQL literal of an id."""
    return f"'00000000-0000-7000-8000-{number:012}'"


def at(hour: int, minute: int = 0) -> str:
    """The SQL literal of an instant on the day of the sessions."""
    return f"'2031-03-03 {hour:02}:{minute:02}Z'"


TYPE = uid(1)
#: Consultants: Ada, Ben, and Cem, who is also a requester.
ADA, BEN, CEM = uid(11), uid(12), uid(13)
#: Requesters.
PIA, QUIN, RUBY = uid(21), uid(22), uid(23)
#: Ada serves Pia 10 to 11 (with ten minutes after it), Ben served Quin 8 to 9, Ada's session with Pia at 14
#: is cancelled, and Ben serves Cem 10 to 11.
SCHEDULED, COMPLETED, CANCELLED, OF_CEM = uid(31), uid(32), uid(33), uid(34)
REQUEST, REQUEST_COMPLETED, REQUEST_CANCELLED, REQUEST_OF_CEM = uid(41), uid(42), uid(43), uid(44)
#: Requests without a session: of Pia, of Quin (with a hold), of Ruby, and of Cem.
OF_PIA, HELD_FOR_QUIN, OF_RUBY, WAITS_FOR_CEM = uid(45), uid(46), uid(47), uid(48)
BOOKING, BOOKING_COMPLETED, BOOKING_OF_CEM = uid(51), uid(52), uid(54)
#: Ada holds 15 to 16 for Quin; 17 to 18 of Ada is the former time of an absence plan; 19 to 20 is a block.
HOLD, KEPT, BLOCK, WINDOW = uid(55), uid(56), uid(57), uid(58)
NEW = uid(99)

SLOT_COLUMNS = (
    "id, consultant_user_id, start_time, end_time, status, source, consultation_request_id,"
    " scheduled_session_id, requester_user_id, session_start_time, session_end_time, held_until, hold_token"
)


def session(
    session_id: str = NEW,
    request: str = OF_RUBY,
    requester: str = RUBY,
    consultant: str = ADA,
    start: str = at(12),
    end: str = at(13),
    status: str = "scheduled",
) -> str:
    """The statement that inserts a session."""
    return (
        "INSERT INTO scheduled_sessions (id, consultation_request_id, requester_user_id, consultant_user_id,"
        " consultation_service_type_id, scheduled_start_time, scheduled_end_time, status)"
        f" VALUES ({session_id}, {request}, {requester}, {consultant}, {TYPE}, {start}, {end}, '{status}')"
    )


def booking(
    session_id: str = NEW,
    request: str = OF_RUBY,
    requester: str = RUBY,
    consultant: str = ADA,
    start: str = at(12),
    end: str = at(13),
    slot: str = NEW,
    buffered: str | None = None,
) -> str:
    """The statement that inserts a booked row."""
    return (
        f"INSERT INTO consultant_availability_slots ({SLOT_COLUMNS})"
        f" VALUES ({slot}, {consultant}, {start}, {buffered or end}, 'booked', 'session', {request},"
        f" {session_id}, {requester}, {start}, {end}, NULL, NULL)"
    )


def hold(
    consultant: str = ADA,
    requester: str = RUBY,
    start: str = at(12),
    end: str = at(13),
    request: str = OF_RUBY,
    slot: str = NEW,
) -> str:
    """The statement that inserts a held row."""
    return (
        f"INSERT INTO consultant_availability_slots ({SLOT_COLUMNS})"
        f" VALUES ({slot}, {consultant}, {start}, {end}, 'held', 'hold', {request}, NULL, {requester},"
        f" {start}, {end}, {at(9)}, {slot})"
    )


def block(start: str, end: str, source: str = "absence", slot: str = NEW, consultant: str = ADA) -> str:
    """The statement that inserts a block."""
    return (
        "INSERT INTO consultant_availability_slots"
        " (id, consultant_user_id, start_time, end_time, status, source)"
        f" VALUES ({slot}, {consultant}, {start}, {end}, 'unavailable', '{source}')"
    )


def window(start: str, end: str, slot: str = NEW, consultant: str = ADA) -> str:
    """The statement that inserts a window."""
    return (
        "INSERT INTO consultant_availability_slots (id, consultant_user_id, start_time, end_time)"
        f" VALUES ({slot}, {consultant}, {start}, {end})"
    )


def _request(request: str, requester: str, status: str) -> str:
    return (
        "INSERT INTO consultation_requests (id, requester_user_id, consultation_service_type_id, status)"
        f" VALUES ({request}, {requester}, {TYPE}, '{status}')"
    )


def _status(session_id: str, request: str, status: str, request_status: str) -> tuple[str, ...]:
    return (
        f"UPDATE scheduled_sessions SET status = '{status}' WHERE id = {session_id}",
        f"UPDATE consultation_requests SET status = '{request_status}' WHERE id = {request}",
    )


ROWS = (
    "INSERT INTO consultation_service_types (id, name, default_duration_minutes)"
    f" VALUES ({TYPE}, 'Algebra', 60)",
    *(f"INSERT INTO consultant_profiles (consultant_user_id) VALUES ({one})" for one in (ADA, BEN, CEM)),
    _request(REQUEST, PIA, "scheduled"),
    _request(REQUEST_COMPLETED, QUIN, "scheduled"),
    _request(REQUEST_CANCELLED, PIA, "scheduled"),
    _request(REQUEST_OF_CEM, CEM, "scheduled"),
    _request(OF_PIA, PIA, "pending"),
    _request(HELD_FOR_QUIN, QUIN, "pending"),
    _request(OF_RUBY, RUBY, "pending"),
    _request(WAITS_FOR_CEM, CEM, "pending"),
    session(SCHEDULED, REQUEST, PIA, ADA, at(10), at(11)),
    session(COMPLETED, REQUEST_COMPLETED, QUIN, BEN, at(8), at(9)),
    session(CANCELLED, REQUEST_CANCELLED, PIA, ADA, at(14), at(15)),
    session(OF_CEM, REQUEST_OF_CEM, CEM, BEN, at(10), at(11)),
    booking(SCHEDULED, REQUEST, PIA, ADA, at(10), at(11), BOOKING, at(11, 10)),
    booking(COMPLETED, REQUEST_COMPLETED, QUIN, BEN, at(8), at(9), BOOKING_COMPLETED),
    booking(OF_CEM, REQUEST_OF_CEM, CEM, BEN, at(10), at(11), BOOKING_OF_CEM),
    "UPDATE consultation_requests r SET scheduled_session_id = s.id, assigned_consultant_user_id ="
    " s.consultant_user_id FROM scheduled_sessions s WHERE s.consultation_request_id = r.id",
    f"UPDATE scheduled_sessions SET status = 'in_progress' WHERE id = {COMPLETED}",
    *_status(COMPLETED, REQUEST_COMPLETED, "completed", "completed"),
    *_status(CANCELLED, REQUEST_CANCELLED, "cancelled_by_user", "cancelled"),
    hold(ADA, QUIN, at(15), at(16), HELD_FOR_QUIN, HOLD),
    block(at(17), at(18), "absence", KEPT),
    block(at(19), at(20), "manual", BLOCK),
    window(at(8), at(20), WINDOW),
)


def execute(connection: psycopg.Connection, statements: tuple[str, ...]) -> None:
    """Send statements one by one."""
    for statement in statements:
        connection.execute(statement.encode())


@contextmanager
def world(server: str) -> Iterator[str]:
    """A deployed database with these rows; a superuser's URL."""
    with fresh_database(server) as url:
        migrate_as_deployed(url)
        with psycopg.connect(as_role(url, "booking_app")) as connection:
            execute(connection, ROWS)
        yield url
