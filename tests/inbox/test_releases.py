"""Messages between two releases: a later one gives the same answers and runs unfinished messages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from booking_tasks.assignment.tasks import submit_request
from booking_tasks.contracts import PUBLIC, SubmitRequest
from booking_tasks.inbox import receiver, service, tasks
from booking_tasks.kit.database import transaction
from booking_tasks.models import ConsultationRequest, DeadLetter, InboxMessage
from tests.conftest import DIRECT_AND_POOLED
from tests.inbox.test_tasks import abandon, count, inbox_row, message

pytestmark = [DIRECT_AND_POOLED, pytest.mark.usefixtures("own_database", "valkey")]


def accepted(service_type: UUID, failing_use_case: list[int]) -> dict[str, Any]:
    """A message that was counted and whose run failed."""
    failing_use_case[1] = 1
    body = message(service_type)
    with pytest.raises(RuntimeError):
        submit_request(body)
    return body


def is_run_again(body: dict[str, Any]) -> bool:
    abandon(body)
    assert tasks.recover_inbox() == 1
    return (inbox_row(body).state, count(ConsultationRequest)) == ("done", 1)


@pytest.mark.parametrize(
    ("task", "more"), [("submit_request", {"a_field_of_tomorrow": 1}), ("a_task_of_tomorrow", {})]
)
def test_what_another_release_accepted_is_counted_and_in_the_end_dead_with_its_content(
    service_type: UUID, task: str, more: dict[str, Any]
) -> None:
    """A worker of a release that knows it may come first; but one that does not is no reason to wait."""
    body = message(service_type, **more)
    with transaction() as db:
        service.begin_attempt(db, UUID(body["message_id"]), task, "booking", body, 3)
    for attempts in (2, 3):
        abandon(body)
        assert tasks.recover_inbox() == 1
        assert (inbox_row(body).state, inbox_row(body).attempts) == ("received", attempts)
        assert tasks.recover_inbox() == count(DeadLetter) == 0  # not at every tick

    abandon(body)
    assert tasks.recover_inbox() == 1

    row = inbox_row(body)
    assert (row.state, row.body, row.outcome["code"]) == ("dead", body, "dead")  # type: ignore[index]
    assert count(DeadLetter) == 1
    assert tasks.recover_inbox() == 0


class SubmitRequestOfTomorrow(SubmitRequest):
    """The contract as a later release may have it."""

    mood: str | None = None


def test_the_release_after_gives_a_repeat_the_stored_answer(service_type: UUID) -> None:
    body = message(service_type)
    first = submit_request(body)

    again = receiver.receive(SubmitRequestOfTomorrow.model_validate(body), "booking")

    assert again == first


def test_the_release_after_runs_what_the_one_before_accepted(
    service_type: UUID, failing_use_case: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = accepted(service_type, failing_use_case)
    monkeypatch.setitem(PUBLIC, "submit_request", SubmitRequestOfTomorrow)

    assert is_run_again(body)


def test_what_was_accepted_is_run_however_its_content_was_fingerprinted_then(
    service_type: UUID, failing_use_case: list[int]
) -> None:
    """Such as by a release that wrote down every default."""
    body = accepted(service_type, failing_use_case)
    with transaction() as db:
        db.execute(update(InboxMessage).values(body_hash="of another release"))

    assert is_run_again(body)


def test_what_was_accepted_is_kept_as_it_was_written(service_type: UUID, failing_use_case: list[int]) -> None:
    """A default that was written stays, whatever a later release makes of the default."""
    body = message(service_type, excluded_consultant_user_ids=[])
    with pytest.raises(RuntimeError):
        submit_request(body)
    assert inbox_row(body).body == body
