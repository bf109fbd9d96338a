"""PostgreSQL's accounts in the tests: the service has the rights of its own role, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg

from booking_tasks.ops.migrate import migrate
from booking_tasks.ops.secret_files import roles_sql

#: As which the service runs: every worker, beat and task of the tests, and their own transactions.
APP = "booking_app"
#: As which `booking-tasks web` runs.
WEB = "booking_web"
#: As which `booking-tasks metrics` runs.
READER = "booking_reader"

#: What roles.sql sets for these three, so that they work behind a pooler: the default settings' time-outs.
SESSION_SETTINGS = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "1min",
    "client_connection_check_interval": "1s",
    "TimeZone": "UTC",
}

#: The demo's and the tests' clock. A deployment's stands still: no role may step it (app) or lock it (web).
_STEPPED = """
    GRANT INSERT, UPDATE, DELETE ON stepped_clock TO booking_app;
    GRANT UPDATE ON stepped_clock TO booking_web
"""


def as_role(url: str, role: str = APP) -> str:
    """The same database for another role; the tests' servers trust whoever comes from this host."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    return urlsplit(url)._replace(netloc=f"{role}@{host}").geturl()


def as_superuser(url: str, role: str = "postgres") -> str:
    """The same database for the one who may do anything: what no service is to do, tests do to it."""
    return as_role(url, role)


def as_deployed(superuser: psycopg.Connection[Any], database: str) -> None:
    """Say of a copy what roles.sql says of a database: PostgreSQL copies its tables, and none of this."""
    settings = {"search_path": "public, pg_temp"}
    settings |= {name: f"'{setting}'" for name, setting in SESSION_SETTINGS.items()}
    statements = [
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {database} TO {APP}, {WEB}, {READER}",
        f"ALTER ROLE {READER} IN DATABASE {database} SET default_transaction_read_only = on",
        *(
            f"ALTER ROLE {role} IN DATABASE {database} SET {name} = {setting}"
            for role in (APP, WEB, READER)
            for name, setting in settings.items()
        ),
    ]
    superuser.execute("; ".join(statements).encode())


def migrate_as_deployed(url: str) -> None:
    """Make the roles and migrate as the migrator, as a deployment does; `url` is a superuser's."""
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute(roles_sql().encode())
    migrate(as_role(url, "booking_migrator"))


@contextmanager
def without_web(superuser: psycopg.Connection[Any]) -> Iterator[None]:
    """The cluster as an older release made its roles; afterwards it has booking_web with its rights again."""
    superuser.execute(f"ALTER ROLE {WEB} RENAME TO booking_web_away".encode())
    try:
        yield
    finally:
        if superuser.execute("SELECT FROM pg_roles WHERE rolname = %s", [WEB]).fetchone() is not None:
            superuser.execute(f"DROP OWNED BY {WEB}; DROP ROLE {WEB}".encode())
        superuser.execute(f"ALTER ROLE booking_web_away RENAME TO {WEB}".encode())


def migrate_with_roles(url: str) -> None:
    """The same, with the one right more that the tests' clock needs."""
    migrate_as_deployed(url)
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute(_STEPPED.encode())
