"""While requests run, whatever can die dies. Afterwards nothing is lost, doubled, overlapping or stuck."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from redis import Redis

from tests.faults.conftest import started_service
from tests.faults.fault_injector import crash, end_at_once, frozen, running
from tests.faults.invariants import Ledger, examined
from tests.faults.random_kills import Storm
from tests.faults.running_service import PATIENT, TUESDAY, Nuisance, RunningService, Servers

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

#: The requests that run while a server is struck again and again.
_STRUCK = 36


@pytest.fixture
def service(servers: Servers) -> Iterator[RunningService]:
    with started_service(servers, consultants=8, people=40) as service:
        yield service


@pytest.fixture
def patient_service(servers: Servers) -> Iterator[RunningService]:
    with started_service(servers, consultants=8, people=40, **PATIENT) as service:
        yield service


def all_is_well(service: RunningService, requests: int, *, stream_kept: bool = True) -> Ledger:
    """Every request was accepted and came to its end, and no promise is broken."""
    ledger = examined(service, stream_kept=stream_kept)
    assert ledger.wrong == ()
    assert (ledger.accepted, ledger.terminal, ledger.dead) == (requests, requests, 0)
    return ledger


@pytest.mark.timeout(900)  # a slow machine may take its time: what counts is that it gets there
@pytest.mark.parametrize("count", [60, pytest.param(300, marks=pytest.mark.long)])
def test_workers_killed_at_random_while_requests_run(
    service: RunningService, servers: Servers, count: int
) -> None:
    storm = Storm(service, servers, random.Random(1), {"child": 8, "worker": 1})
    # A worker does some work before it dies, however long it takes to come up.
    with storm.over(answers=3):
        service.call(service.requests(count, storm.chance), seconds=600)
    storm.revive()
    service.calm()
    ledger = all_is_well(service, count)
    assert ledger.uncertain <= storm.kills.total()
    assert storm.kills["child"] >= 5
    assert storm.kills["worker"] >= 1


def struck(
    service: RunningService, blow: Callable[[], None], answers: int, seed: int, pause: float = 0.05
) -> int:
    """Requests, with a blow whenever so many more are answered, until all is calm; how many blows."""
    with Nuisance(blow, lambda: pause, due=service.every(answers)) as blows:
        service.call(service.requests(_STRUCK, random.Random(seed)))
    service.calm()
    return blows.count


def test_the_broker_emptied_while_requests_run(patient_service: RunningService, servers: Servers) -> None:
    def empty() -> None:
        with Redis.from_url(servers.valkey.url()) as redis:
            redis.flushall()

    assert struck(patient_service, empty, answers=1, seed=2, pause=0.3) >= 3
    assert all_is_well(patient_service, _STRUCK, stream_kept=False).uncertain == 0


def test_the_broker_killed_while_requests_run(patient_service: RunningService, servers: Servers) -> None:
    """With SIGKILL, and back at once; what the queues held is in its file."""

    def kill() -> None:
        crash(servers.valkey)
        servers.valkey.start()

    # Workers come back to it within seconds: killed by the clock, it might never be there when they look.
    assert struck(patient_service, kill, answers=8, seed=6) >= 2
    assert all_is_well(patient_service, _STRUCK).uncertain == 0


def test_the_database_restarted_at_once_while_requests_run(service: RunningService, servers: Servers) -> None:
    def restart() -> None:
        end_at_once(servers.postgres)
        servers.postgres.start()

    # By the work that is done, not by the clock: on a slow machine one message would be met by three of them.
    assert struck(service, restart, answers=8, seed=3) >= 3
    all_is_well(service, _STRUCK)


@pytest.mark.long
def test_broker_and_database_frozen_in_turn_while_requests_run(
    patient_service: RunningService, servers: Servers
) -> None:
    chance = random.Random(4)
    cold = threading.Event()

    def freeze() -> None:
        server = chance.choice((servers.postgres, servers.valkey))
        with frozen(running(server).pid):
            cold.wait(1.2)

    with Nuisance(freeze, lambda: 0.5, due=patient_service.every(answers=1)) as frosts:
        patient_service.call(patient_service.requests(60, chance))
    assert frosts.count >= 1
    patient_service.calm()
    assert all_is_well(patient_service, 60).uncertain == 0


@pytest.mark.long
def test_what_was_booked_in_a_storm_lives_its_whole_life_in_one(
    service: RunningService, servers: Servers
) -> None:
    """Bookings, reminders, starts, verdicts and the end of the rooms, while everything dies by turns."""
    storm = Storm(service, servers, random.Random(5))
    with storm.over(0.3, 0.8):
        service.call(service.requests(30, storm.chance))
        service.live_through(TUESDAY + timedelta(days=3), hop=timedelta(hours=12))
    storm.revive()
    service.calm()
    ledger = all_is_well(service, 30)
    assert ledger.uncertain <= storm.kills.total()
