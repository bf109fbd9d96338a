"""People in both roles and several processes at once; `python -m tests.one_person` runs it for minutes."""

from __future__ import annotations

import pytest

from booking_tasks.kit import database
from booking_tasks.kit.settings import settings
from tests.one_person import concurrent_bookings, examination


@pytest.fixture
def url(own_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Without a limit to waiting: on a slow machine a wait is long, and that is no fault."""
    monkeypatch.setenv("BOOKING_LOCK_TIMEOUT", "10m")
    monkeypatch.setenv("BOOKING_STATEMENT_TIMEOUT", "10m")
    settings.cache_clear()
    database.engine.cache_clear()
    return own_database


@pytest.mark.timeout(600)
def test_people_in_both_roles_are_in_one_place_however_many_book_at_once(url: str) -> None:
    concurrent_bookings.prepare(url)

    report = concurrent_bookings.run(url, seed=1, processes=8, operations=25)

    assert report.faults == {}, "\n".join(examination.lines(report))
    assert report.findings.taken  # somebody was in the way of somebody
