from __future__ import annotations

from datetime import timedelta

import pytest

from booking_tasks.enums import SessionStatus
from booking_tasks.invites.rules import (
    why_not_ask,
    why_not_cancel,
    why_not_invite,
    why_not_withdraw,
)
from tests.builders import NOW

LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(hours=1)


@pytest.mark.parametrize("status", SessionStatus)
def test_only_a_session_that_still_goes_on_is_invited_to(status: str) -> None:
    live = status in ("scheduled", "in_progress")

    assert (why_not_invite(status, LATER, 1, 1, NOW) is None) == live
    assert (why_not_cancel(status, True, still_invited=True, said_later=False) is None) == (not live)


def test_an_invitation_of_another_revision_or_to_a_past_session_is_not_sent() -> None:
    assert why_not_invite("scheduled", LATER, 2, 1, NOW) == "superseded by a later revision"
    assert why_not_invite("scheduled", NOW, 1, 1, NOW) == "the session is over"


def test_nobody_is_uninvited_who_was_never_invited() -> None:
    assert why_not_cancel("cancelled_by_user", True, still_invited=False, said_later=False) == "never invited"


def test_whose_session_it_is_no_more_is_told_while_it_goes_on_with_another() -> None:
    assert why_not_cancel("scheduled", False, still_invited=True, said_later=False) is None
    assert why_not_cancel("scheduled", False, still_invited=False, said_later=False) == "never invited"


@pytest.mark.parametrize("takes_part", [True, False])
def test_of_two_ends_only_the_later_is_told(takes_part: bool) -> None:
    said = why_not_cancel("cancelled_by_user", takes_part, still_invited=True, said_later=True)
    assert said == "superseded by a later cancellation"


def test_an_answer_is_wanted_from_the_assigned_consultant_while_the_time_is_held() -> None:
    assert why_not_ask("pending_confirmation", True, LATER, NOW) is None
    assert why_not_ask("scheduled", True, LATER, NOW) == "the request is scheduled"
    assert why_not_ask("pending_confirmation", False, LATER, NOW) is not None
    assert why_not_ask("pending_confirmation", True, NOW, NOW) == "the time to answer is over"


def test_a_withdrawal_goes_to_those_who_were_asked_and_are_not_asked_again() -> None:
    assert why_not_withdraw("pending_assignment", True, True) is None
    assert why_not_withdraw("pending_confirmation", False, True) is None
    assert why_not_withdraw("pending_confirmation", True, True) == "asked again since"
    assert why_not_withdraw("cancelled", True, False) == "never asked"
