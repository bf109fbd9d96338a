"""The grants of PostgreSQL's roles, on two versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import Column, Text
from typer.testing import CliRunner

from booking_tasks.kit.database import create_booking_engine
from booking_tasks.kit.pooler import session_settings
from booking_tasks.kit.settings import load_settings
from booking_tasks.models import Base
from booking_tasks.ops.cli import cli
from booking_tasks.ops.migrate import migrate
from booking_tasks.ops.secret_files import ROLES, grants_sql, roles_sql
from tests.accounts import APP, READER, SESSION_SETTINGS, WEB, as_role, migrate_as_deployed, without_web
from tests.catalogues import fresh_database
from tests.messages.role_statements import EVENT, JOB, MATRIX
from tests.migration_rows import ROWS

ALL = ("booking_owner", *ROLES)


@contextmanager
def _roled(server: str) -> Iterator[str]:
    """A database with the roles, migrated by the migrator alone; afterwards the roles are gone."""
    with fresh_database(server) as url:
        migrate_as_deployed(url)
        yield url
    with psycopg.connect(server, autocommit=True) as superuser:
        for role in reversed(ALL):
            with suppress(errors.DependentObjectsStillExist, errors.UndefinedObject):
                superuser.execute(f"DROP ROLE {role}".encode())


@pytest.fixture(scope="module")
def roled(server: str) -> Iterator[str]:
    with _roled(server) as url:
        with psycopg.connect(url) as connection:
            for tables in ROWS.values():
                for statement in tables.values():
                    connection.execute(statement.encode())
        yield url


def _allowed(url: str, role: str, statement: str) -> bool:
    with psycopg.connect(
        as_role(url, role), autocommit=statement.startswith(("CREATE DATABASE", "ALTER SYSTEM"))
    ) as one:
        try:
            one.execute(statement.encode())
        except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction):
            return False
        finally:
            one.rollback()
    return True


@pytest.mark.parametrize("statement", MATRIX)
def test_a_statement_is_for_its_roles_alone(roled: str, statement: str) -> None:
    allowed = {role for role in ROLES if _allowed(roled, role, statement)}

    assert allowed == MATRIX[statement]


def test_a_reader_that_turns_its_reading_only_off_still_changes_nothing(roled: str) -> None:
    with psycopg.connect(as_role(roled, "booking_reader"), autocommit=True) as reader:
        reader.execute("SET default_transaction_read_only = off")
        for statement in (JOB, "DELETE FROM jobs", "UPDATE events SET actor = 'me'"):
            with pytest.raises(errors.InsufficientPrivilege):
                reader.execute(statement.encode())


#: Texts that say nothing of a person.
_FOR_READERS = {
    "consultation_service_types.description",
    "dead_letters.reason",
    "calendar_feeds.etag",
    "calendar_feeds.last_modified",
    "calendar_feeds.last_error",
}


def test_a_reader_sees_no_text_but_those_that_say_nothing_of_a_person(roled: str) -> None:
    texts = {str(one) for table in Base.metadata.tables.values() for one in table.columns if _is_text(one)}

    with psycopg.connect(roled) as superuser:
        seen = {
            one
            for one in texts
            if superuser.execute(
                "SELECT has_column_privilege('booking_reader', %s, %s, 'SELECT')", one.split(".")
            ).fetchone()
            == (True,)
        }

    assert seen == _FOR_READERS


#: Columns of other types that say who somebody is, what they wrote, or what a message contained.
_HIDDEN_FROM_READERS = {
    "directory_users.name",
    "directory_users.email",
    "inbox.body",
    "inbox.outcome",
    "parked_messages.arguments",
    "events.before",
    "events.after",
    "calendar_feeds.addresses",
    "jobs.payload",
    "session_mailboxes.mailbox",
    "session_mailboxes.address",
    "session_mailboxes.content_digest",
}


def test_every_other_column_is_listed_for_readers_and_nothing_else_is(roled: str) -> None:
    texts = {str(one) for table in Base.metadata.tables.values() for one in table.columns if _is_text(one)}
    known = {str(one) for table in Base.metadata.tables.values() for one in table.columns}
    listed = {
        f"{table}.{column}"
        for table, columns in re.findall(r"\('(\w+)', '\s*([\w,\s]+?)\s*'\)", grants_sql())
        for column in re.split(r",\s*", columns)
    }
    beside = {f"free_slots.{one}" for one in ("consultant_user_id", "start_time", "end_time")}
    beside.add("alembic_version.version_num")

    assert listed == (known - texts - _HIDDEN_FROM_READERS) | _FOR_READERS | beside


def test_a_new_column_or_table_is_hidden_until_it_is_listed(server: str) -> None:
    with _roled(server) as url:
        with psycopg.connect(as_role(url, "booking_migrator")) as migrator:
            migrator.execute("ALTER TABLE jobs ADD COLUMN added text")
            migrator.execute("CREATE TABLE added (id int)")
            migrator.execute(grants_sql().encode())
        for statement in ("SELECT added FROM jobs", "SELECT id FROM added"):
            assert not _allowed(url, "booking_reader", statement)
            assert not _allowed(url, "booking_web", statement)
            assert _allowed(url, "booking_app", statement)
        assert _allowed(url, "booking_reader", "SELECT state FROM jobs")


def test_every_column_of_the_pages_exists(roled: str) -> None:
    known = {str(one) for table in Base.metadata.tables.values() for one in table.columns}
    listed = {
        f"{table}.{column}"
        for table, columns in re.findall(r"\('(\w+)', '[A-Z]+', '\s*([\w,\s]+?)\s*'\)", grants_sql())
        for column in re.split(r",\s*", columns)
    }

    assert listed - known == {"alembic_version.version_num"}
    assert len(listed) > 100


def _is_text(column: Column[Any]) -> bool:
    return isinstance(column.type, Text)


def test_the_connections_of_the_service_resolve_names_as_their_role_does(roled: str) -> None:
    engine = create_booking_engine(load_settings({"database_url": as_role(roled, "booking_app")}))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT current_schemas(true)").scalar_one() == [
            "pg_catalog",
            "public",
        ]
        assert connection.exec_driver_sql("SHOW search_path").scalar_one() == "public, pg_temp"
    engine.dispose()


@pytest.mark.parametrize("role", ROLES)
def test_names_are_looked_up_in_one_place(roled: str, role: str) -> None:
    with psycopg.connect(as_role(roled, role)) as connection:
        assert connection.execute("SHOW search_path").fetchone() == ("public, pg_temp",)


@pytest.mark.parametrize("role", [APP, WEB, READER])
def test_the_roles_of_the_service_bring_its_session_settings(roled: str, role: str) -> None:
    with psycopg.connect(as_role(roled, role)) as connection:
        shown = {name: connection.execute(f"SHOW {name}".encode()).fetchone() for name in SESSION_SETTINGS}

    assert shown == {name: (setting,) for name, setting in SESSION_SETTINGS.items()}


def test_the_time_outs_of_the_settings_are_those_of_all_three(server: str) -> None:
    with _roled(server) as url:
        with psycopg.connect(url, autocommit=True) as superuser:
            superuser.execute(
                roles_sql(session_settings(timedelta(seconds=7), timedelta(seconds=3))).encode()
            )
        for role in (APP, WEB, READER):
            with psycopg.connect(as_role(url, role)) as connection:
                assert connection.execute("SHOW statement_timeout").fetchone() == ("7s",)
                assert connection.execute("SHOW lock_timeout").fetchone() == ("3s",)


def test_nobody_else_may_connect_and_nobody_logs_in_as_the_owner(roled: str) -> None:
    with psycopg.connect(roled, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE booking_stranger LOGIN")
        try:
            for role in ("booking_stranger", "booking_owner"):
                with pytest.raises(
                    psycopg.OperationalError, match=r"permission denied|not permitted to log in"
                ):
                    psycopg.connect(as_role(roled, role)).close()
        finally:
            superuser.execute("DROP ROLE booking_stranger")


def test_all_that_a_migration_makes_belongs_to_the_owner(roled: str) -> None:
    with psycopg.connect(roled) as connection:
        owners = connection.execute(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S')"
            " UNION SELECT DISTINCT proowner::regrole::text FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'free%%'"
        ).fetchall()

    assert owners == [("booking_owner",)]


def test_the_migrator_goes_down_and_up_again_and_every_table_has_its_grants(server: str) -> None:
    with _roled(server) as url:
        migrator = as_role(url, "booking_migrator")
        migrate(migrator, "base")
        migrate(migrator)

        assert _allowed(url, "booking_app", JOB)
        assert not _allowed(url, "booking_app", "UPDATE events SET actor = 'x'")
        assert not _allowed(url, "booking_reader", "SELECT email FROM directory_users")


def test_roles_from_before_the_pages_had_theirs_get_it_by_the_superuser(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with _roled(server) as url, psycopg.connect(url, autocommit=True) as superuser, without_web(superuser):
        migrator = as_role(url, "booking_migrator")
        migrate(migrator, "-1")
        migrate(migrator)
        printed = capsys.readouterr().err
        assert "the role booking_web does not exist" in printed
        assert "run what booking-tasks roles prints as superuser" in printed
        assert _allowed(url, "booking_app", JOB)

        superuser.execute(roles_sql().encode())
        for _ in range(2):  # and again by the next migration
            assert _allowed(url, WEB, "UPDATE inbox SET attempts = attempts")
            assert not _allowed(url, WEB, "SELECT args FROM jobs")
            migrate(migrator)
        assert capsys.readouterr().err == ""


def test_each_step_back_leaves_the_pages_the_rights_that_the_step_has(server: str) -> None:
    with _roled(server) as url:
        migrator = as_role(url, "booking_migrator")
        migrate(migrator, "0001")
        assert _allowed(url, WEB, "SELECT name FROM directory_users")
        assert not _allowed(url, WEB, "SELECT args FROM jobs")
        migrate(migrator)
        assert _allowed(url, WEB, "SELECT FROM forgotten_people")
        assert not _allowed(url, WEB, "DELETE FROM forgotten_people")


def test_a_database_from_before_the_roles_changes_hands(server: str) -> None:
    with fresh_database(server) as url:
        migrate(url)
        for _ in range(2):  # and again: it changes nothing
            with psycopg.connect(url, autocommit=True) as superuser:
                superuser.execute(roles_sql().encode())

        assert _allowed(url, "booking_migrator", "ALTER TABLE events ADD COLUMN extra int")
        assert _allowed(url, "booking_migrator", "DROP FUNCTION free_starts_v3")
        assert _allowed(url, "booking_app", EVENT)
        assert not _allowed(url, "booking_app", "UPDATE events SET actor = 'x'")


def test_no_statement_of_the_files_names_a_password_or_another_database() -> None:
    text = f"{roles_sql()}{grants_sql()}"
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))

    assert CliRunner().invoke(cli, ["roles"]).output.strip() == roles_sql().strip()
    assert "PASSWORD" not in code
    assert "booking_tasks" not in code
