"""Dead messages are replayed or discarded, and the history has who decided it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking_tasks.assignment.tasks import submit_request
from booking_tasks.context import Context
from booking_tasks.inbox import receiver, service, tasks
from booking_tasks.inbox.rules import DeadLetterFilter
from booking_tasks.inbox.service import Replayed
from booking_tasks.kit.database import transaction
from booking_tasks.models import ConsultationRequest, DeadLetter, Event, InboxMessage
from booking_tasks.unit_of_work import unit_of_work
from tests import builders
from tests.conftest import DIRECT_AND_POOLED

pytestmark = [DIRECT_AND_POOLED, pytest.mark.usefixtures("own_database", "valkey")]


@pytest.fixture
def body(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A request that failed three times, by a fault that is gone now."""
    with transaction() as db:
        service_type = builders.service_type(db).id
    body = {
        "message_id": str(uuid4()),
        "actor": "shop",
        "request_id": str(uuid4()),
        "requester_user_id": str(uuid4()),
        "service_type_id": str(service_type),
        "details": "secret wish",
    }

    def broken(db: Session, ctx: Context, command: Any) -> Any:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setitem(receiver._use_cases, "submit_request", broken)
        for _ in range(3):
            with pytest.raises(RuntimeError):
                submit_request(body)
        assert submit_request(body)["code"] == "dead"
    return body


def inbox_row(body: dict[str, Any]) -> InboxMessage:
    with transaction() as db:
        return db.get_one(InboxMessage, UUID(body["message_id"]))


def count(model: type[Any]) -> int:
    with transaction() as db:
        return db.scalar(select(func.count()).select_from(model)) or 0


def decision() -> Event:
    with transaction() as db:
        return db.scalars(select(Event).where(Event.type.like("message.%"))).one()


def test_a_replayed_message_runs_at_the_next_sweep_under_its_own_id_and_leaves_the_dead(
    body: dict[str, Any],
) -> None:
    with unit_of_work("ann", "operator") as (db, ctx):
        done = service.replay(db, ctx, DeadLetterFilter(task="submit_request"), "the disk has room again")
    assert done == Replayed([UUID(body["message_id"])], [])
    assert tasks.recover_inbox() == 1
    assert submit_request(body)["result"] == "done"
    row = inbox_row(body)
    assert (row.state, row.attempts, row.body) == ("done", 1, None)
    assert (count(ConsultationRequest), count(DeadLetter)) == (1, 0)
    event = decision()
    assert (event.type, event.actor, event.entry_point) == ("message.replayed", "ann", "operator")
    assert (event.message_id, event.reason) == (UUID(body["message_id"]), "the disk has room again")
    assert "each of which" in event.before["error"]


def test_a_message_that_was_refused_on_arrival_cannot_run_again_and_stays() -> None:
    submit_request({"message_id": str(uuid4()), "surprise": 1})
    with unit_of_work("ann", "operator") as (db, ctx):
        done = service.replay(db, ctx, DeadLetterFilter(), "try")
    assert (done.messages, len(done.without_content)) == ([], 1)
    assert (count(DeadLetter), count(Event)) == (1, 0)


def test_discarding_deletes_the_dead_letter_and_the_content_and_keeps_the_answer(
    body: dict[str, Any],
) -> None:
    assert inbox_row(body).body is not None
    with unit_of_work("ann", "operator") as (db, ctx):
        assert len(service.discard(db, ctx, DeadLetterFilter(), "the shop asked anew")) == 1
    assert inbox_row(body).body is None
    assert submit_request(body)["code"] == "dead"
    assert count(DeadLetter) == 0
    event = decision()
    assert (event.type, event.actor, event.reason) == ("message.discarded", "ann", "the shop asked anew")


def test_a_decision_about_a_message_stands_in_the_history_of_the_request_it_names() -> None:
    with transaction() as db:
        request = builders.request(db, builders.service_type(db).id)
        db.add(
            DeadLetter(task="t", entry_point="booking", reason="r", payload={"request_id": str(request.id)})
        )
    with unit_of_work("ann", "operator") as (db, ctx):
        service.discard(db, ctx, DeadLetterFilter(about=request.id), "old")
    assert decision().consultation_request_id == request.id


def test_dead_letters_are_filtered_by_their_fields(body: dict[str, Any]) -> None:
    submit_request(None)
    about = UUID(body["request_id"])
    with unit_of_work("ann", "operator") as (db, ctx):

        def found(**filters: Any) -> int:
            return len(service.dead_letters(db, DeadLetterFilter(**filters), 10))

        [one] = service.dead_letters(db, DeadLetterFilter(about=about), 10)
        assert found() == found(task="submit_request") == found(entry_point="booking") == 2
        assert found(dead_letter_id=one.id) == found(about=UUID(body["message_id"])) == 1
        assert found(since=one.received_at) == 2
        assert found(since=ctx.now) == found(task="other") == found(entry_point="broker") == 0
