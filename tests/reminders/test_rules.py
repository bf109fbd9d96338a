from __future__ import annotations

from datetime import timedelta

import pytest

from booking_tasks.enums import SessionStatus
from booking_tasks.reminders.rules import belongs_to, reminder_skip_reason
from tests.builders import NOW

LATER = NOW + timedelta(hours=1)


@pytest.mark.parametrize("status", SessionStatus)
def test_only_a_session_that_still_lies_ahead_is_reminded_of(status: str) -> None:
    reason = reminder_skip_reason(status, LATER, NOW, is_superseded=False)
    assert (reason is None) == (status == "scheduled")


def test_a_reminder_of_another_revision_or_after_the_start_is_useless() -> None:
    superseded = reminder_skip_reason("scheduled", LATER, NOW, is_superseded=True)
    assert superseded == "superseded by a later revision"
    assert reminder_skip_reason("scheduled", NOW, NOW, is_superseded=False) == "the session has begun"


def test_a_reminder_belongs_to_the_start_that_it_was_made_for() -> None:
    assert belongs_to(LATER, NOW, 3600)
    assert not belongs_to(LATER + timedelta(minutes=5), NOW, 3600)
