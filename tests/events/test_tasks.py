"""From the history to those outside, through the job ledger."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis import Redis
from sqlalchemy import select, text

from booking_tasks.context import Context
from booking_tasks.contracts import CloudEvent
from booking_tasks.events import tasks
from booking_tasks.kit.database import transaction
from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.settings import load_settings, settings
from booking_tasks.models import Event, Job
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from tests.builders import NOW, booked_session


@pytest.fixture
def server(valkey: str) -> Iterator[Redis]:
    with closing(Redis.from_url(valkey)) as client:
        yield client


@pytest.fixture
def stream(own_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"events:{uuid4().hex}"
    monkeypatch.setenv("BOOKING_EVENT_STREAM", name)
    monkeypatch.setenv("BOOKING_EVENT_TYPE_PREFIX", "org.example.booking")
    settings.cache_clear()
    return name


def happened(count: int = 1) -> list[UUID]:
    """Events of one session, in the past of the real clock so that their jobs are due."""
    with transaction() as db:
        session = booked_session(db)
        ctx = Context(now=NOW, actor="test", entry_point="booking")
        made = [
            outbox.record_event(db, ctx, EventType.SESSION_STARTED, session=session) for _ in range(count)
        ]
        db.execute(text("UPDATE jobs SET due_at = now() - interval '1 minute'"))
    return made


def entries(server: Redis, stream: str) -> list[dict[bytes, bytes]]:
    found: Any = server.xrange(stream)
    return [fields for _, fields in found]


def job_states() -> list[str]:
    with transaction() as db:
        return list(db.scalars(select(Job.state).where(Job.job_type == "publish_event")))


def test_an_event_reaches_the_stream_as_a_cloudevent(server: Redis, stream: str) -> None:
    (event_id,) = happened()
    assert tasks.publish_event() == 1
    (entry,) = entries(server, stream)
    published = CloudEvent.model_validate_json(entry[b"event"])
    assert (published.id, published.source, published.type) == (
        event_id,
        "/booking-tasks",
        "org.example.booking.session.started.v1",
    )
    assert entry[b"type"].decode() == published.type
    assert job_states() == ["done"]


def test_published_three_times_an_event_is_one_entry(server: Redis, stream: str) -> None:
    happened()
    for _ in range(3):
        assert tasks.publish_event() == 1
        with transaction() as db:
            db.execute(
                text("UPDATE jobs SET state = 'waiting', finished_at = NULL WHERE job_type = 'publish_event'")
            )
    assert len(entries(server, stream)) == 1


def test_many_events_go_out_in_one_run_in_the_order_they_happened(server: Redis, stream: str) -> None:
    made = happened(10)
    assert tasks.publish_event() == 10
    assert [json.loads(entry[b"event"])["id"] for entry in entries(server, stream)] == [
        str(one) for one in made
    ]


def test_a_server_out_of_reach_leaves_the_event_waiting(
    server: Redis, stream: str, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened()
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    settings.cache_clear()
    assert tasks.publish_event() == 1
    assert job_states() == ["waiting"]
    monkeypatch.setenv("REDIS_URL", valkey)
    settings.cache_clear()
    with transaction() as db:
        db.execute(text("UPDATE jobs SET retry_at = NULL"))
    assert tasks.publish_event() == 1
    assert len(entries(server, stream)) == 1


def test_an_event_goes_to_another_services_task_under_its_own_id(
    server: Redis, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = f"others-{uuid4().hex}"
    monkeypatch.setenv("BOOKING_EVENT_TASK", "ledger.hear_booking_event")
    monkeypatch.setenv("BOOKING_EVENT_QUEUE", queue)
    settings.cache_clear()
    (event_id,) = happened()
    assert tasks.publish_event() == 1
    (raw,) = server.lrange(queue, 0, -1)
    message = json.loads(raw)
    assert message["headers"]["task"] == "ledger.hear_booking_event"
    assert message["headers"]["id"] == str(event_id)
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert args == []
    assert CloudEvent.model_validate(kwargs["event"]).id == event_id
    assert len(entries(server, stream)) == 1, "both targets get it"


def test_without_any_target_nothing_is_sent(
    server: Redis, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKING_EVENT_STREAM", "")
    settings.cache_clear()
    happened()
    assert tasks.publish_event() == 1
    assert job_states() == ["skipped"]
    assert entries(server, stream) == []


def test_an_event_that_retention_took_is_skipped(server: Redis, stream: str) -> None:
    happened()
    with transaction() as db:
        for event in db.scalars(select(Event)):
            db.delete(event)
    tasks.publish_event()
    assert job_states() == ["skipped"]


def test_a_task_without_its_queue_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_EVENT_TASK", "ledger.hear_booking_event")
    with pytest.raises(SettingsError, match=r"^BOOKING_EVENT_QUEUE: is needed with BOOKING_EVENT_TASK"):
        load_settings()
