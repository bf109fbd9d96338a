"""The state machines are tables; the database knows exactly their words."""

from __future__ import annotations

import pytest

from booking_tasks.enums import RequestStatus, SessionStatus
from booking_tasks.kit.errors import IllegalTransitionError
from booking_tasks.sessions.rules import CANCELLED, REQUEST_STEPS, SESSION_STEPS, check_step


def test_the_tables_speak_of_every_status_and_of_no_other() -> None:
    for steps, words in ((SESSION_STEPS, SessionStatus), (REQUEST_STEPS, RequestStatus)):
        assert set(steps) == set(words)
        assert set().union(*steps.values()) <= set(words)


def test_every_status_can_be_reached_from_the_first() -> None:
    for steps, first in ((SESSION_STEPS, "scheduled"), (REQUEST_STEPS, "pending")):
        reached, frontier = {first}, {first}
        while frontier:
            frontier = set().union(*(steps[one] for one in frontier)) - reached
            reached |= frontier
        assert reached == set(steps)


def test_a_cancelled_session_is_final() -> None:
    assert all(not SESSION_STEPS[status] for status in CANCELLED)


def test_a_step_outside_the_table_is_refused() -> None:
    check_step(SESSION_STEPS, "scheduled", "in_progress")
    with pytest.raises(IllegalTransitionError, match="completed to scheduled"):
        check_step(SESSION_STEPS, "completed", "scheduled")
