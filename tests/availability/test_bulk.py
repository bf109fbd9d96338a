"""What is read in bulk: the same values, sent as bytes, by a plan made for the very parameters."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, event, text

from booking_tasks.kit.bulk import IN_BULK
from booking_tasks.kit.database import engine
from tests.builders import NOW

_TIMES = text(
    "SELECT array_agg(CAST(:now AS timestamptz) + n * interval '1 hour') FROM generate_series(0, 2) n"
)


@pytest.fixture
def connection(own_database: str) -> Iterator[Connection]:
    with engine().connect() as opened:
        yield opened


def test_it_is_the_same_read_in_another_format(connection: Connection) -> None:
    formats: list[int] = []

    @event.listens_for(connection, "after_cursor_execute")
    def _seen(_connection: Connection, cursor: object, *_: object) -> None:
        formats.append(cursor.pgresult.fformat(0))  # type: ignore[attr-defined]

    def read(**options: object) -> list[datetime]:
        return connection.execute(_TIMES, {"now": NOW}, execution_options=options).scalar_one()  # type: ignore[no-any-return]

    hours = [NOW + timedelta(hours=hour) for hour in range(3)]
    assert [read(), read(**IN_BULK), read()] == [hours] * 3
    assert formats == [0, 1, 0]


def test_it_is_never_prepared(connection: Connection) -> None:
    prepared = text(
        "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%generate_series(0, 2)%'"
    )
    for options, number in ((IN_BULK, 0), ({}, 1)):
        for _ in range(12):
            connection.execute(_TIMES, {"now": NOW}, execution_options=options)
        assert connection.execute(prepared).scalar_one() == number
