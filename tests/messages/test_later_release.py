"""A client reads the outcomes of a service that is newer than itself."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from booking_tasks.client import NoAnswerError, ParkedError, Receipt
from booking_tasks.contracts import PUBLIC, BookSeries, Query, SubmitRequest
from booking_tasks.contracts.later_release import read_outcome
from booking_tasks.enums import RefusalCode, RequestStatus


class _Result:
    """A result that has arrived."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def get(self, timeout: float, propagate: bool) -> Any:
        return self.answer


@pytest.mark.parametrize("contract", PUBLIC.values(), ids=lambda one: one.task)
def test_a_code_that_only_a_newer_service_has_is_plain_text(contract: type[Query[Any]]) -> None:
    answer = {"result": "refused", "code": "moon_is_full", "message": "request_id is not for full moons"}
    outcome = Receipt(_Result(answer), contract).outcome(1)

    assert isinstance(outcome, contract.outcome)
    assert (outcome.result, outcome.code, type(outcome.code)) == ("refused", "moon_is_full", str)
    assert outcome.message == answer["message"]


def test_fields_and_other_values_of_a_newer_service_are_read_too() -> None:
    answer = {
        "result": "done_twice",
        "status": "resting",
        "errors": [{"field": "a", "problem": "b", "remedy": "c"}],
        "moon": {"phase": "full"},
    }
    outcome = read_outcome(SubmitRequest.outcome, answer)

    assert (outcome.result, outcome.status) == ("done_twice", "resting")  # type: ignore[attr-defined]
    assert (outcome.errors[0].field, outcome.errors[0].problem) == ("a", "b")
    assert not hasattr(outcome, "moon")


def test_what_is_known_stays_what_it_is_beside_what_is_new() -> None:
    answer = {"result": "refused", "code": "invalid", "status": "pending", "moon": 1}
    outcome = read_outcome(SubmitRequest.outcome, answer)

    assert outcome.code is RefusalCode.INVALID
    assert outcome.status is RequestStatus.PENDING  # type: ignore[attr-defined]


def test_codes_inside_an_outcome_are_read_too() -> None:
    start = "2027-03-01T09:00:00Z"
    answer = {"result": "refused", "code": "conflicts", "conflicts": [{"start": start, "code": "moon"}]}
    outcome = read_outcome(BookSeries.outcome, answer)

    assert [one.code for one in outcome.conflicts] == ["moon"]  # type: ignore[attr-defined]


def test_an_outcome_of_this_release_is_of_its_own_type() -> None:
    assert type(read_outcome(SubmitRequest.outcome, {"result": "done"})) is SubmitRequest.outcome


@pytest.mark.parametrize("answer", [None, [], {}, {"result": 7}, {"result": "done", "code": {"a": 1}}])
def test_an_answer_that_is_no_outcome_is_an_error(answer: Any) -> None:
    with pytest.raises(ValidationError):
        read_outcome(SubmitRequest.outcome, answer)


def test_a_parked_message_has_no_outcome_yet_for_a_caller_that_insists() -> None:
    answer = {"result": "refused", "code": "parked", "message": "no such task in this release"}
    with pytest.raises(ParkedError, match="no such task in this release"):
        Receipt(_Result(answer), SubmitRequest).outcome(1)
    assert issubclass(ParkedError, NoAnswerError)
