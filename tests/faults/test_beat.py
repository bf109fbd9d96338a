"""Beat: down for an hour, through a change of clocks, on a host whose clock is set."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import func, select

from booking_tasks.kit.database import transaction
from booking_tasks.models import Job
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import FRONT, ServiceProcesses
from tests.conftest import valkey_url
from tests.faults.conftest import Open
from tests.faults.invariants import examined
from tests.faults.running_service import TUESDAY

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

HOUR = timedelta(hours=1)
INTERVAL = 0.4
#: A busy machine may hold a beat up for so many seconds; one that waits for its clock stands for an hour.
HELD_UP = 30
WRONG_CLOCK = str(Path(__file__).parent / "wrong_clock")


def due() -> int:
    """How many jobs wait although their time has come."""
    with transaction() as db:
        waiting = select(func.count()).where(Job.state == "waiting", Job.due_at <= TUESDAY - 11 * HOUR)
        return db.execute(waiting).scalar_one()


def test_what_fell_due_in_an_hour_without_beat_happens_once(open_service: Open) -> None:
    with open_service() as service:
        service.start()
        front, beat = service.stack.processes[0], service.stack.processes[-1]
        chance = random.Random(12)
        # Sessions at noon: the reminders of a day before fall into Monday's hour from 11:30 to 12:30.
        noon = [one for one in service.requests(200, chance) if one.preferred_start == TUESDAY + 12 * HOUR]
        service.call(noon)
        service.calm()
        service.live_through(TUESDAY - 12.5 * HOUR)
        beat.kill()
        # A tick that was on its way must not be heard an hour later: a worker that ends has heard it out.
        with Redis.from_url(service.redis_url) as redis:
            wait_until(lambda: redis.llen("sweep") == 0, "the last tick", 30)
        front.end(30)
        service.stage.step(TUESDAY - 11 * HOUR)

        # The workers are alive and have nothing that would tell them.
        service.stack.worker("front-again", FRONT).wait_ready()
        service.call(service.requests(201, chance)[200:])
        reminders = 2 * len([one for one in service.sessions() if one.scheduled_start_time.hour == 12])
        assert due() >= reminders > 0

        service.stack.beat("beat-again")
        service.calm()
        ledger = examined(service)
        assert (ledger.wrong, due()) == ((), 0)
        with transaction() as db:
            sent = select(func.count()).where(Job.job_type == "send_reminder", Job.state == "done")
            assert db.execute(sent).scalar_one() >= reminders


class Ticks:
    """A beat without workers: what it sent stays in the queue, with the instants of the beat's clock."""

    def __init__(self, redis: Any, name: str) -> None:
        self._redis, self._name = redis, name

    def instants(self) -> list[datetime]:
        """When each tick was sent, in order, by the beat's own clock."""
        sent = []
        for one in reversed(self._redis.lrange("sweep", 0, -1)):
            headers = json.loads(one)["headers"]
            if headers["task"].endswith(self._name):
                sent.append(datetime.fromisoformat(headers["expires"]) - HOUR)
        return sent


@pytest.fixture
def ticks(valkey: str) -> Iterator[Ticks]:
    with Redis.from_url(valkey_url(valkey, 6)) as redis:
        redis.flushdb()
        yield Ticks(redis, ".wake_due_jobs")
        redis.flushdb()


@pytest.fixture
def surroundings(own_database: str, valkey: str) -> dict[str, str]:
    return {"DATABASE_URL": own_database, "REDIS_URL": valkey_url(valkey, 6)}


def offset_to(instant: datetime) -> float:
    return (instant - datetime.now(UTC)).total_seconds()


def gaps(instants: list[datetime]) -> list[float]:
    return [(after - before).total_seconds() for before, after in pairwise(instants)]


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)],
    ids=["forwards", "back"],
)
def test_a_change_of_clocks_doubles_no_tick_and_drops_none(
    change: datetime, ticks: Ticks, surroundings: dict[str, str], tmp_path: Path
) -> None:
    """A beat in Berlin, across the night's change."""
    wrong = f"0:{offset_to(change - timedelta(seconds=8))}"
    with_beat(tmp_path, surroundings, wrong, lambda: bool(after(ticks, change)))
    instants = ticks.instants()
    assert [one for one in instants if one < change]
    assert len(after(ticks, change)) >= 5
    assert min(gaps(instants)) > INTERVAL / 2
    assert max(gaps(instants)) < HELD_UP


def after(ticks: Ticks, change: datetime) -> list[datetime]:
    later = [one for one in ticks.instants() if one > change]
    return later if len(later) >= 5 else []


@pytest.mark.long
@pytest.mark.parametrize("hours", [1, -1])
def test_a_beat_whose_host_is_set_by_an_hour_goes_on_ticking(
    hours: int, ticks: Ticks, surroundings: dict[str, str], tmp_path: Path
) -> None:
    """Six seconds after its start; back is what stops a beat that reads the clock."""

    def jumped() -> list[float]:
        return [one for one in gaps(ticks.instants()) if abs(one) > 1800]

    def ticked_on() -> bool:
        found = gaps(ticks.instants())
        return bool(jumped()) and len(found) - found.index(jumped()[0]) > 6

    with_beat(tmp_path, surroundings, f"6:{hours * 3600}", ticked_on)
    assert len(jumped()) == 1
    rest = [one for one in gaps(ticks.instants()) if abs(one) <= 1800]
    assert min(rest) > INTERVAL / 2
    assert max(rest) < HELD_UP


def with_beat(folder: Path, surroundings: dict[str, str], wrong_clock: str, seen: Any) -> None:
    """Run a beat with a wrong clock in a place with changing clocks until something is seen."""
    environment = surroundings | {
        "BOOKING_SWEEP_INTERVAL": f"{INTERVAL}s",
        "BOOKING_WAKEUP_TTL": "1h",
        "PYTHONPATH": WRONG_CLOCK,
        "WRONG_CLOCK": wrong_clock,
        "TZ": "Europe/Berlin",
    }
    stack = ServiceProcesses(folder / "processes", environment)
    try:
        stack.beat()
        wait_until(seen, "the ticks", 60)
    finally:
        stack.stop()
