from __future__ import annotations

from datetime import timedelta

import pytest

from booking_tasks.enums import SessionStatus
from booking_tasks.invites.rules import (
    cancellation_skip_reason,
    confirmation_skip_reason,
    invite_skip_reason,
    withdrawal_skip_reason,
)
from tests.builders import NOW

LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(hours=1)


@pytest.mark.parametrize("status", SessionStatus)
def test_only_a_session_that_still_goes_on_is_invited_to(status: str) -> None:
    live = status in ("scheduled", "in_progress")

    assert (invite_skip_reason(status, LATER, 1, 1, NOW) is None) == live
    assert (cancellation_skip_reason(status, True, is_invited=True, has_later=False) is None) == (not live)


def test_an_invitation_of_another_revision_or_to_a_past_session_is_not_sent() -> None:
    assert invite_skip_reason("scheduled", LATER, 2, 1, NOW) == "superseded by a later revision"
    assert invite_skip_reason("scheduled", NOW, 1, 1, NOW) == "the session is over"


def test_nobody_is_uninvited_who_was_never_invited() -> None:
    assert (
        cancellation_skip_reason("cancelled_by_user", True, is_invited=False, has_later=False)
        == "never invited"
    )


def test_the_former_consultant_is_notified_while_the_session_goes_on_with_another() -> None:
    assert cancellation_skip_reason("scheduled", False, is_invited=True, has_later=False) is None
    assert cancellation_skip_reason("scheduled", False, is_invited=False, has_later=False) == "never invited"


@pytest.mark.parametrize("takes_part", [True, False])
def test_of_two_ends_only_the_later_is_notified(takes_part: bool) -> None:
    reason = cancellation_skip_reason("cancelled_by_user", takes_part, is_invited=True, has_later=True)
    assert reason == "superseded by a later cancellation"


def test_an_answer_is_expected_from_the_assigned_consultant_while_the_time_is_held() -> None:
    assert confirmation_skip_reason("pending_confirmation", True, LATER, NOW) is None
    assert confirmation_skip_reason("scheduled", True, LATER, NOW) == "the request is scheduled"
    assert confirmation_skip_reason("pending_confirmation", False, LATER, NOW) is not None
    assert confirmation_skip_reason("pending_confirmation", True, NOW, NOW) == "the time to answer is over"


def test_a_withdrawal_goes_to_former_candidates_without_a_new_confirmation_request() -> None:
    assert withdrawal_skip_reason("pending_assignment", True, True) is None
    assert withdrawal_skip_reason("pending_confirmation", False, True) is None
    assert withdrawal_skip_reason("pending_confirmation", True, True) == "requested again since"
    assert withdrawal_skip_reason("cancelled", True, False) == "never requested"
