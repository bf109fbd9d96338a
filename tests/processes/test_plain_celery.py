"""`celery -A booking_tasks worker` and `beat`: from any directory, twice, alone, and after a fork."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from sqlalchemy import select, text

from booking_tasks.client import BookingClient
from booking_tasks.contracts import UpsertUser
from booking_tasks.enums import RefusalCode
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.settings import settings
from booking_tasks.models import DirectoryUser, InboxMessage
from booking_tasks.ops.mail_sink import MailSink
from booking_tasks.ops.service_processes import EFFECTS, FRONT, ServiceProcess, ServiceProcesses
from tests.builders import NOW
from tests.processes.rows import (
    add_old_dead_letter,
    agreed_session,
    all_settled,
    ask,
    jobs,
    old_dead_letters,
    wait_for,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

ALL = ",".join(FRONT + EFFECTS)


def times_sent(beat: ServiceProcess, entry: str) -> int:
    """How often a beat has sent an entry of its schedule, by its own log."""
    return len(re.findall(rf"Sending due task {entry} ", beat.log.read_text()))


def test_worker_and_beat_start_in_any_directory_and_take_nothing_from_it(
    stack: ServiceProcesses, client: BookingClient
) -> None:
    for stray in ("beat_schedule.py", "celeryconfig.py", "settings.py"):
        (stack.folder / stray).write_text(f"raise SystemExit('{stray} was taken from the directory')\n")
    worker = stack.plain("worker", "worker", "-c", "1")
    beat = stack.plain("beat", "beat", "-l", "INFO")
    stack.wait_ready()
    agreed_session()

    assert ask(client).code == RefusalCode.UNKNOWN_SERVICE_TYPE
    wait_for(lambda: all_settled("provision_meeting", 1), "the room, after a tick of the beat")
    assert times_sent(beat, "wake_due_jobs") > 0

    assert (beat.end(), worker.end()) == (0, 0)
    left = {path.name for path in stack.folder.iterdir() if path.suffix not in {".log", ".heartbeat"}}
    assert left == {"beat_schedule.py", "celeryconfig.py", "settings.py"}


@pytest.fixture
def stepped(
    own_database: str, monkeypatch: pytest.MonkeyPatch, stack: ServiceProcesses
) -> Iterator[datetime]:
    """The stepped clock, here and in every process, so that no test runs over midnight."""
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    settings.cache_clear()
    stack.environment["BOOKING_CLOCK"] = "stepped"
    step(NOW)
    yield NOW
    settings.cache_clear()


def step(to: datetime) -> None:
    with transaction() as db:
        clock.step(db, to)


def test_two_beats_at_once_do_no_harm(stack: ServiceProcesses, stepped: datetime, mail: MailSink) -> None:
    session, met = agreed_session(), add_old_dead_letter()
    beats = [stack.plain(name, "beat", "-l", "INFO") for name in ("beat-1", "beat-2")]
    stack.plain("worker", "worker", "-Q", ALL, "-c", "2")
    stack.wait_ready()
    wait_for(lambda: met not in old_dead_letters(), "the day's purge")

    unmet = add_old_dead_letter()
    counts = {beat: times_sent(beat, "purge") for beat in beats}
    wait_for(
        lambda: all(times_sent(beat, "purge") >= count + 2 for beat, count in counts.items()),
        "two more ticks of each beat",
    )
    assert old_dead_letters() == {unmet}  # once-a-day work ran once

    step(session.scheduled_start_time - timedelta(hours=24))
    wait_for(lambda: all_settled("send_reminder", 2), "the reminders of a day before")
    wait_for(lambda: old_dead_letters() == set(), "the next day's purge")
    assert jobs("send_reminder") == {("done", 1): 2, ("waiting", 0): 2}
    assert jobs("send_invite") == {("done", 1): 2}
    assert jobs("provision_meeting") == {("done", 1): 1}
    assert len(mail.mails()) == 4


def expiry(redis: Any, queue: str) -> datetime:
    """When the last of a queue's messages is worth nothing any more."""
    waiting = [json.loads(one)["headers"]["expires"] for one in redis.lrange(queue, 0, -1)]
    return max(datetime.fromisoformat(one) for one in waiting)


def test_an_outage_of_the_workers_leaves_no_backlog_of_ticks(stack: ServiceProcesses, redis: Any) -> None:
    stack.environment["BOOKING_WAKEUP_TTL"] = "1s"
    agreed_session()
    beat = stack.plain("beat", "beat")
    wait_for(lambda: redis.llen("sweep") >= 20, "twenty ticks without a worker")
    assert beat.end() == 0
    last = expiry(redis, "sweep")
    assert last <= datetime.now(UTC) + timedelta(seconds=1)
    wait_for(lambda: datetime.now(UTC) > last, "the end of every tick's time")

    stack.plain("worker", "worker", "-Q", ALL, "-c", "1")
    wait_for(lambda: redis.llen("sweep") == 0 and redis.hlen("unacked") == 0, "an empty queue")

    # Any sweep that ran would have woken a worker for the room, which is due.
    assert jobs("provision_meeting") == {("waiting", 0): 1}
    stack.environment["BOOKING_WAKEUP_TTL"] = "1m"
    stack.plain("beat-again", "beat")
    wait_for(lambda: all_settled("provision_meeting", 1), "the room, once ticks are fresh again")


def test_an_outage_of_one_queue_leaves_no_backlog_of_wakeups(stack: ServiceProcesses, redis: Any) -> None:
    stack.environment["BOOKING_WAKEUP_TTL"] = "20s"
    agreed_session()
    stack.worker("front", FRONT, concurrency=1)
    stack.beat()
    stack.wait_ready()
    wait_for(lambda: redis.llen("provision") >= 3, "wake-ups that nobody takes")

    assert expiry(redis, "provision") <= datetime.now(UTC) + timedelta(seconds=20)


def test_remote_control_is_off_by_default(
    stack: ServiceProcesses, client: BookingClient, broker: str
) -> None:
    silent = stack.plain("silent", "worker", "-Q", "booking", "-c", "1", "-n", "silent@here")
    stack.environment["BOOKING_REMOTE_CONTROL"] = "true"
    listening = stack.plain("listening", "worker", "-Q", "admin", "-c", "1", "-n", "listening@here")
    stack.wait_ready()
    with Celery("stranger", broker=broker, set_as_current=False) as stranger:
        heard: list[dict[str, Any]] = []

        def answered() -> bool:
            heard.extend(stranger.control.ping(timeout=1))
            return len(heard) >= 2

        wait_for(answered, "two answers of the one that listens")
        assert heard == [{"listening@here": {"ok": "pong"}}] * 2

        stranger.control.shutdown()

    wait_for(lambda: not listening.running, "the end of the one that listens")
    assert silent.running
    assert ask(client).code == RefusalCode.UNKNOWN_SERVICE_TYPE


SWALLOWING = """
import os
import signal

from booking_tasks.celery import BeatScheduler, app


class Swallowing(BeatScheduler):
    def apply_async(self, *args, **kwargs):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except SystemExit:
            raise ValueError("I/O operation on closed file")


app.conf.beat_scheduler = Swallowing
"""


def test_a_beat_that_gets_a_signal_while_it_sends_stops(stack: ServiceProcesses) -> None:
    (stack.folder / "swallowing.py").write_text(SWALLOWING)

    beat = stack.plain("beat", "beat", app="swallowing")

    wait_for(lambda: not beat.running, "the end of the beat")
    assert beat.end() == 0
    assert beat.log.read_text().count("I/O operation on closed file") > 0


BORROWED = """
from celery.signals import worker_init
from sqlalchemy import text

from booking_tasks.celery import app
from booking_tasks.kit.database import engine


@worker_init.connect
def use_the_database_before_the_fork(**_):
    with engine().connect() as connection:
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    print("parent's backend:", backend, flush=True)
"""


def test_after_the_fork_each_child_has_connections_of_its_own(
    stack: ServiceProcesses, client: BookingClient
) -> None:
    (stack.folder / "borrowed.py").write_text(BORROWED)
    worker = stack.plain("forking", "worker", "-Q", ALL, "-c", "3", app="borrowed")
    stack.wait_ready()
    found = re.search(r"parent's backend: (\d+)", worker.log.read_text())
    assert found is not None
    inherited = int(found[1])
    before = last_use(inherited)
    people = {uuid7(): f"Person {number}" for number in range(100)}

    for user_id, name in people.items():
        client.send(
            UpsertUser(
                message_id=user_id,
                actor="test",
                user_id=user_id,
                name=name,
                email=f"{user_id.hex}@example.org",
                time_zone="UTC",
            )
        )
    wait_for(lambda: answered() == len(people), "the answers to all")

    with transaction() as db:
        stored = {
            user.user_id: (user.name, user.email) for user in db.execute(select(DirectoryUser)).scalars()
        }
        attempts = set(db.execute(select(InboxMessage.attempts)).scalars())
    assert stored == {user_id: (name, f"{user_id.hex}@example.org") for user_id, name in people.items()}
    assert attempts == {1}
    assert last_use(inherited) == before


def last_use(backend: int) -> Any:
    """When a PostgreSQL backend last got a query, which the parent's connection must survive with."""
    with transaction() as db:
        return db.execute(
            text("SELECT query, state_change FROM pg_stat_activity WHERE pid = :pid"), {"pid": backend}
        ).one()


def answered() -> int:
    with transaction() as db:
        return len(db.execute(select(InboxMessage.message_id).where(InboxMessage.state == "done")).all())
