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


#: What must have happened, or the run has not tried it. The others of `OPERATIONS` happen in every run.
_HAPPENED = frozenset(
    {
        *("offered", "lapsed", "unanswered", "accept_offer done", "decline_offer done"),
        *("batch planned", "batch offered", "batch waiting", "assign offered"),
        *("confirm_request done", "decline_request done", "cancel_request done"),
    }
)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_people_in_both_roles_are_in_one_place_for_three_minutes(url: str) -> None:
    concurrent_bookings.prepare(url)

    report = concurrent_bookings.run(url, seed=2, processes=8, seconds=180)

    text = "\n".join(examination.lines(report))
    assert report.faults == {}, text
    assert report.findings.done.keys() >= _HAPPENED, text
