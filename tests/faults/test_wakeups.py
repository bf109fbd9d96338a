"""The broker only wakes workers: each wake-up may be lost or arrive twice, and everything is done once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest

from booking_tasks.ops.service_processes import EFFECTS, FRONT
from tests.faults.conftest import Open
from tests.faults.invariants import examined
from tests.faults.running_service import PATIENT, TUESDAY, RunningService

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


@pytest.fixture
def service(open_service: Open) -> Iterator[RunningService]:
    with open_service(**PATIENT) as service:
        yield service


@pytest.mark.parametrize("wakeups", ["lost", "doubled"])
def test_whatever_becomes_of_the_wakeups_everything_is_done_once(
    service: RunningService, wakeups: str
) -> None:
    live_with(service, wakeups)


@pytest.mark.rabbitmq
@pytest.mark.timeout(900)
@pytest.mark.parametrize("wakeups", ["lost", pytest.param("doubled", marks=pytest.mark.long)])
def test_on_rabbitmq_whatever_becomes_of_the_wakeups_everything_is_done_once(
    open_service: Open, rabbitmq: str, wakeups: str
) -> None:
    """Whole bookings, from the request to the verdict, by a real worker and a real beat."""
    with open_service(**PATIENT, CELERY_BROKER_URL=rabbitmq) as service:
        live_with(service, wakeups)


def live_with(service: RunningService, wakeups: str) -> None:
    service.stack.environment["FAULTY_WAKEUPS"] = wakeups
    for name, queues in (("front", FRONT), ("effects", EFFECTS)):
        service.stack.plain(name, "worker", "-Q", ",".join(queues), "-c", "2", app="tests.faults.faulty_app")
    service.stack.beat()
    service.wait_ready()

    service.call(service.requests(8, random.Random(6)))
    service.calm()
    service.live_through(TUESDAY + timedelta(days=3), hop=timedelta(hours=24))

    ledger = examined(service)
    assert ledger.wrong == ()
    assert (ledger.accepted, ledger.uncertain, ledger.dead) == (8, 0, 0)
