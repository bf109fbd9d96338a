from __future__ import annotations

from datetime import timedelta

import pytest

from booking_tasks.enums import SessionStatus
from booking_tasks.reminders.rules import reminder_skip_reason
from tests.builders import NOW

LATER = NOW + timedelta(hours=1)


@pytest.mark.parametrize("status", SessionStatus)
def test_only_a_session_that_still_lies_ahead_is_reminded_of(status: str) -> None:
    assert (reminder_skip_reason(status, LATER, 1, 1, NOW) is None) == (status == "scheduled")


def test_a_reminder_of_another_revision_or_after_the_start_is_useless() -> None:
    assert reminder_skip_reason("scheduled", LATER, 2, 1, NOW) == "superseded by a later revision"
    assert reminder_skip_reason("scheduled", NOW, 1, 1, NOW) == "the session has begun"
