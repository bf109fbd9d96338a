"""The inbox: a repeat gets the stored answer, and a message that fails too often is dead."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from celery.app.trace import build_tracer
from redis.exceptions import RedisError
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from booking_tasks.assignment.tasks import submit_request
from booking_tasks.celery import app
from booking_tasks.contracts import SubmitRequest
from booking_tasks.enums import InboxState
from booking_tasks.inbox import service, store, tasks
from booking_tasks.jobs.tasks import wake_due_jobs
from booking_tasks.kit.database import engine, transaction
from booking_tasks.models import ConsultationRequest, DeadLetter, Event, InboxMessage, Job
from booking_tasks.ops.servers import wait_until
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.job_args import PublishEvent
from booking_tasks.outbox.jobs import NewJob
from tests import builders
from tests.accounts import as_superuser
from tests.conftest import DIRECT_AND_POOLED

pytestmark = [DIRECT_AND_POOLED, pytest.mark.usefixtures("own_database", "valkey")]


def message(service_type: UUID, **values: Any) -> dict[str, Any]:
    body = {
        "message_id": str(uuid4()),
        "actor": "shop",
        "request_id": str(uuid4()),
        "requester_user_id": str(uuid4()),
        "service_type_id": str(service_type),
        "details": "secret wish",
    }
    return body | values


def count(model: type[Any]) -> int:
    with transaction() as db:
        return db.scalar(select(func.count()).select_from(model)) or 0


def inbox_row(body: dict[str, Any]) -> InboxMessage:
    with transaction() as db:
        return db.get_one(InboxMessage, UUID(body["message_id"]))


def test_a_repeat_gets_the_stored_outcome_and_changes_nothing(service_type: UUID) -> None:
    body = message(service_type)
    first = submit_request(body)
    assert first["result"] == "done"
    assert [submit_request(body), submit_request(dict(reversed(body.items())))] == [first, first]
    assert count(ConsultationRequest) == 1


def test_the_same_id_with_other_content_is_a_conflict(service_type: UUID) -> None:
    body = message(service_type)
    submit_request(body)
    answer = submit_request(body | {"details": "another wish"})
    assert (answer["result"], answer["code"]) == ("refused", "conflict")
    assert count(ConsultationRequest) == 1


def test_an_answered_message_keeps_no_content(service_type: UUID) -> None:
    body = message(service_type)
    submit_request(body)
    found = inbox_row(body)
    assert (found.state, found.body, found.attempts) == ("done", None, 1)
    assert "secret" not in str(found.outcome)


def test_rival_deliveries_of_one_message_run_it_once(service_type: UUID) -> None:
    body = message(service_type)
    gate = threading.Barrier(5)

    def deliver(_: int) -> dict[str, Any]:
        gate.wait(30)
        return submit_request(body)  # type: ignore[no-any-return]

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(deliver, range(5)))
    assert all(one == answers[0] for one in answers)
    assert count(ConsultationRequest) == 1
    assert inbox_row(body).attempts == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"message_id": "nonsense"}, "message_id"),
        ({"service_type_id": None}, "service_type_id"),
        ({"surprise": 1}, "surprise"),
        ({"preferred_start": "2027-03-01T09:00:00"}, "preferred_start"),
        ({"details": "x" * 10_001}, "details"),
        ({"actor": "two\nlines"}, "actor"),
    ],
)
def test_bad_input_is_refused_by_field_and_kept_without_personal_data(
    service_type: UUID, change: dict[str, Any], field: str
) -> None:
    answer = submit_request(message(service_type, **change))
    assert (answer["result"], answer["code"]) == ("refused", "invalid")
    assert [one["field"] for one in answer["errors"]] == [field]
    assert count(InboxMessage) == count(ConsultationRequest) == 0
    with transaction() as db:
        dead_letter = db.execute(select(DeadLetter)).scalar_one()
    assert field in dead_letter.reason
    assert "secret wish" not in str(dead_letter.payload)


@pytest.mark.parametrize("request_body", [None, [], "text", 7, {}])
def test_what_is_no_command_at_all_is_a_dead_letter(request_body: Any) -> None:
    assert submit_request(request_body)["code"] == "invalid"
    assert count(DeadLetter) == 1


def abandon(body: dict[str, Any]) -> None:
    with transaction() as db:
        db.execute(
            update(InboxMessage)
            .where(InboxMessage.message_id == UUID(body["message_id"]))
            .values(attempted_at=text("clock_timestamp() - interval '2 minutes'"))
        )


def test_a_message_whose_run_failed_is_run_again_without_the_broker(
    service_type: UUID, failing_use_case: list[int]
) -> None:
    failing_use_case[1] = 1
    body = message(service_type)
    with pytest.raises(RuntimeError):
        submit_request(body)
    assert (inbox_row(body).state, inbox_row(body).attempts) == ("received", 1)
    assert tasks.recover_inbox() == 0  # not abandoned yet
    abandon(body)
    assert tasks.recover_inbox() == 1
    assert (inbox_row(body).state, inbox_row(body).attempts) == ("done", 2)
    assert count(ConsultationRequest) == 1


def test_a_message_that_fails_three_times_is_dead_and_leaves_nothing_half_done(
    service_type: UUID, failing_use_case: list[int]
) -> None:
    body = message(service_type)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            submit_request(body)
    assert submit_request(body)["code"] == "dead"
    assert submit_request(body)["code"] == "dead"
    assert failing_use_case[0] == 3
    assert inbox_row(body).state == "dead"
    assert count(DeadLetter) == 1
    assert [count(one) for one in (ConsultationRequest, Event, Job)] == [0, 0, 0]


def test_an_attempt_is_counted_before_the_body_runs(service_type: UUID) -> None:
    command = SubmitRequest.model_validate(message(service_type))
    with transaction() as db:
        arrival = service.begin_attempt(
            db, command.message_id, "submit_request", "booking", command.model_dump(mode="json"), 3
        )
    assert arrival == service.Attempt(1)
    assert inbox_row({"message_id": str(command.message_id)}).attempts == 1


def test_a_second_delivery_between_the_count_and_the_run_is_not_counted(service_type: UUID) -> None:
    """Nothing locks the row there: the first delivery has ended one transaction and not begun the next."""
    body = message(service_type)

    def begin() -> object:
        with transaction() as db:
            return service.begin_attempt(db, UUID(body["message_id"]), "submit_request", "booking", body, 3)

    assert [begin(), begin(), begin()] == [service.Attempt(1), service.Running(), service.Running()]
    abandon(body)
    assert [begin(), begin()] == [service.Attempt(2), service.Running()]


def test_a_delivery_whose_message_was_answered_meanwhile_returns_that_answer(
    service_type: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stood still between the count and the run, for so long that another one was counted and ran."""
    body = message(service_type)
    begin = service.begin_attempt
    others: list[Any] = []

    def overtaken(db: Session, *arguments: Any) -> Any:
        found = begin(db, *arguments)
        db.commit()
        if not others:
            others.append(None)
            abandon(body)
            others[0] = submit_request(body)
        return found

    monkeypatch.setattr(service, "begin_attempt", overtaken)
    assert submit_request(body) == others[0]
    assert count(ConsultationRequest) == 1
    assert inbox_row(body).attempts == 2


def test_a_message_that_the_database_lost_after_the_count_is_not_answered(
    service_type: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash loses a commit that did not wait for the disk; whoever waits for the answer sends again."""
    body, begin = message(service_type), service.begin_attempt

    def lost(db: Session, *arguments: Any) -> Any:
        found = begin(db, *arguments)
        db.rollback()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(service, "begin_attempt", lost)
        with pytest.raises(store.MessageLostError):
            submit_request(body)
    assert count(ConsultationRequest) == 0
    assert submit_request(body)["result"] == "done"


@pytest.mark.parametrize(
    "change",
    [
        {"details": "a\0b"},
        {"details": "a\ud800b"},
        {"message_id": "\0"},
        {"sur\0prise": 1},
        {"surprise\ud800": 1},
        {"surprise": float("nan")},
        {"mira@example.org": 1},
    ],
)
def test_what_cannot_even_be_stored_is_refused_and_kept_as_a_dead_letter(
    service_type: UUID, change: dict[str, Any]
) -> None:
    answer = submit_request(message(service_type, **change))
    assert (answer["result"], answer["code"]) == ("refused", "invalid")
    with transaction() as db:
        dead_letter = db.execute(select(DeadLetter)).scalar_one()
    assert "mira" not in f"{dead_letter.reason} {dead_letter.payload} {answer}"


def test_messages_that_name_one_request_at_once_get_one_request_and_refusals(service_type: UUID) -> None:
    gate, request_id = threading.Barrier(5), str(uuid4())

    def deliver(_: int) -> str | None:
        gate.wait(30)
        return submit_request(message(service_type, request_id=request_id))["code"]  # type: ignore[no-any-return]

    with ThreadPoolExecutor(5) as pool:
        assert sorted(code or "" for code in pool.map(deliver, range(5))) == ["", *["request_exists"] * 4]


def test_a_message_answered_while_it_was_to_be_recovered_is_left_as_it_is(service_type: UUID) -> None:
    command = SubmitRequest.model_validate(message(service_type))
    body = command.model_dump(mode="json")
    with transaction() as db:
        service.begin_attempt(db, command.message_id, "submit_request", "booking", body, 3)
    abandon(body)
    with ThreadPoolExecutor(1) as pool, transaction() as first:
        store.finish_message(first, command.message_id, InboxState.DONE, {"result": "done"})
        recovered = pool.submit(tasks.recover_inbox)
        wait_until(lambda: somebody_waits() or recovered.done(), "the recovery to come to the message")
        first.commit()
        assert recovered.result(30) == 1
    assert inbox_row(body).outcome == {"result": "done"}
    assert count(DeadLetter) == count(ConsultationRequest) == 0


def somebody_waits() -> bool:
    waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = {})"
    with transaction() as db:
        return bool(db.scalar(text(waiting.format("current_database()"))))


def test_a_caller_gets_the_answer_before_the_wake_ups_are_sent(
    service_type: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    run = submit_request.run

    def running(*args: Any) -> dict[str, Any]:
        outcome: dict[str, Any] = run(*args)
        sent.append("answer")
        return outcome

    monkeypatch.setattr(submit_request, "run", running)
    monkeypatch.setattr(app, "send_task", lambda name, **_: sent.append(name.rpartition(".")[2]))
    with transaction() as db:
        builders.window(db, builders.consultant(db).consultant_user_id, datetime.now(UTC) + timedelta(days=1))

    outcome = submit_request.apply(args=[message(service_type)]).get()
    assert outcome["status"] == "scheduled"
    assert sent == ["answer", "provision_meeting", "publish_event"]

    # A direct call holds nothing back, and nothing that is held for one message is sent for another.
    submit_request(message(service_type))
    assert sent[3:] == ["provision_meeting", "publish_event", "answer"]


def test_wake_ups_are_sent_also_when_the_result_cannot_be_stored(
    service_type: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wake-ups held for such a message must not hold back those of later messages."""
    sent: list[str] = []
    monkeypatch.setattr(app, "send_task", lambda name, **_: sent.append(name.rpartition(".")[2]))
    for one in ("mark_as_done", "mark_as_failure"):
        monkeypatch.setattr(submit_request.backend, one, _broken)
    traced = build_tracer(submit_request.name, submit_request, app=app)
    request = {"id": str(uuid4()), "ignore_result": False, "is_eager": False}
    with pytest.warns(RuntimeWarning, match="outside body"), pytest.raises(RedisError):
        traced(request["id"], [message(service_type)], {}, request)
    assert sent == ["publish_event"]

    with transaction() as db:
        outbox_store.insert_jobs(
            db, [NewJob(PublishEvent(uuid4()), datetime.now(UTC) - timedelta(minutes=1))]
        )
    sent.clear()
    wake_due_jobs()
    assert sent == ["publish_event"]


def _broken(*_: Any, **__: Any) -> None:
    raise RedisError("away")


@pytest.mark.parametrize(
    ("headers", "commit"),
    [({"ignore_result": False}, "off"), ({"ignore_result": True}, "local"), ({}, "local")],
)
def test_a_message_that_nobody_waits_for_is_on_the_disk_before_it_runs(
    service_type: UUID, monkeypatch: pytest.MonkeyPatch, headers: dict[str, bool], commit: str
) -> None:
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(as_superuser(url)) as superuser:
        superuser.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = local".encode())
        superuser.execute(  # a pooler keeps its sessions, which have the settings of before
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = 'booking_app'"
        )
    engine().dispose()
    seen: list[str] = []
    begin_attempt = service.begin_attempt

    def beginning(db: Session, *args: Any) -> Any:
        attempt = begin_attempt(db, *args)
        seen.append(db.execute(text("SHOW synchronous_commit")).scalar_one())
        return attempt

    monkeypatch.setattr(service, "begin_attempt", beginning)
    body = message(service_type)
    for _ in range(2):
        monkeypatch.setattr(submit_request.backend, "mark_as_done", lambda *_: None)
        traced = build_tracer(submit_request.name, submit_request, app=app)
        request = {"id": str(uuid4()), "is_eager": False} | headers
        traced(request["id"], [body], {}, request)
    assert seen == [commit, "local"]
