"""The migrations and the models make the same database, and its constraints have names that fit."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from booking_tasks.models import Base
from tests.catalogues import catalogue, catalogue_of, database_of_models, differences
from tests.conftest import database_url

LONGEST_NAME = 63  # PostgreSQL shortens longer identifiers without an error


@pytest.fixture(scope="module")
def models_url(postgres: str) -> Iterator[str]:
    with database_of_models(postgres) as url:
        yield url


def test_migrations_and_models_make_the_same_database(template: str, models_url: str) -> None:
    migrated = catalogue_of(database_url(template))

    assert differences(migrated, catalogue_of(models_url)) == []
    assert {name.split()[0] for name in migrated} >= {
        "extension",
        "relation",
        "column",
        "constraint",
        "index",
        "sequence",
        "function",
        "view",
    }


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("ALTER TABLE jobs DROP CONSTRAINT ck_jobs_lease", "constraint jobs.ck_jobs_lease"),
        ("ALTER TABLE jobs ALTER COLUMN attempts DROP DEFAULT", "column jobs.attempts"),
        ("ALTER TABLE jobs ALTER COLUMN attempts TYPE bigint", "column jobs.attempts"),
        ("ALTER TABLE inbox ALTER COLUMN task DROP NOT NULL", "column inbox.task"),
        ("ALTER TABLE events ALTER COLUMN position DROP IDENTITY", "column events.position"),
        ("ALTER TABLE events ADD COLUMN extra text", "column events.extra"),
        (
            "ALTER TABLE consultant_availability_slots"
            " DROP CONSTRAINT ex_consultant_availability_slots_windows",
            "constraint consultant_availability_slots.ex_consultant_availability_slots_windows",
        ),
        (
            "ALTER TABLE jobs DROP CONSTRAINT ck_jobs_state;"
            "ALTER TABLE jobs ADD CONSTRAINT ck_jobs_state CHECK (state <> 'lost')",
            "constraint jobs.ck_jobs_state",
        ),
        (
            "ALTER TABLE attendance_evidence"
            " ALTER CONSTRAINT fk_attendance_evidence_scheduled_session_id DEFERRABLE",
            "constraint attendance_evidence.fk_attendance_evidence_scheduled_session_id",
        ),
        ("DROP INDEX ix_jobs_due; CREATE INDEX ix_jobs_due ON jobs (job_type, due_at)", "index ix_jobs_due"),
        (
            "CREATE OR REPLACE VIEW free_slots AS SELECT NULL::uuid AS consultant_user_id,"
            " now() AS start_time, now() AS end_time",
            "view free_slots",
        ),
        (
            "ALTER FUNCTION free_time_v2(uuid[], timestamptz, timestamptz, timestamptz) VOLATILE",
            "function free_time_v2",
        ),
        ("CREATE TABLE stray (id int)", "relation stray"),
    ],
)
def test_the_comparison_of_schemas_finds_every_type_of_difference(
    models_url: str, change: str, named: str
) -> None:
    with psycopg.connect(models_url) as connection:
        before = catalogue(connection)
        connection.execute(change.encode())
        found = differences(before, catalogue(connection))
        connection.rollback()

    assert any(line.startswith(named) for line in found), found


def _names() -> list[tuple[str, str]]:
    """(table, name) of every constraint and index of the models, before any cutting or hashing."""
    tables = Base.metadata.tables.values()
    constraints = [(table.name, str(one.name)) for table in tables for one in table.constraints]
    return constraints + [(table.name, str(one.name)) for table in tables for one in table.indexes]


def test_every_constraint_and_index_has_a_name_of_its_own_that_fits() -> None:
    prefixes = ("pk_", "uq_", "ck_", "fk_", "ex_", "ix_")
    names = _names()

    assert len(names) > 50
    assert [name for _, name in names if len(name) > LONGEST_NAME] == []
    assert [name for table, name in names if not name.startswith(tuple(p + table for p in prefixes))] == []


def test_the_database_knows_constraints_and_indexes_by_exactly_those_names(models_url: str) -> None:
    with psycopg.connect(models_url) as connection:
        found = connection.execute(
            """
            SELECT conname FROM pg_constraint
             WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
             UNION
            SELECT indexname FROM pg_indexes WHERE schemaname = 'public'
            """
        ).fetchall()

    assert {name for (name,) in found} == {name for _, name in _names()}
