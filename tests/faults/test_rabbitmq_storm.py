"""Workers and beat die at random while RabbitMQ carries the messages; nothing declares delayed delivery."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from booking_tasks.kit.broker_topology import BINDINGS
from tests.faults.conftest import Open
from tests.faults.invariants import examined
from tests.faults.random_kills import Storm
from tests.faults.running_service import PATIENT, RunningService
from tests.rabbitmq_server import RabbitMQ

pytestmark = [pytest.mark.rabbitmq, pytest.mark.stack, pytest.mark.timeout(900)]

REQUESTS = 24
_KNOBS = {"BOOKING_JOB_ATTEMPTS": "30", "BOOKING_MESSAGE_ATTEMPTS": "20"}


@pytest.fixture
def service(open_service: Open, rabbitmq: str) -> Iterator[RunningService]:
    with open_service(**PATIENT, **_KNOBS, CELERY_BROKER_URL=rabbitmq) as service:
        service.start()
        yield service


def _names(server: RabbitMQ, virtual_host: str) -> set[str]:
    """The names of all queues and exchanges of a virtual host."""
    host = f'<<"{virtual_host}">>'
    names = (
        f"[element(4, N) || N <- rabbit_amqqueue:list_names({host}) ++ rabbit_exchange:list_names(),"
        f" element(2, N) =:= {host}]"
    )
    return set(
        server.evaluate(f'binary_to_list(iolist_to_binary(lists:join(" ", {names}))).').strip('"').split()
    )


def test_processes_killed_at_random_lose_nothing(
    service: RunningService, rabbitmq_server: RabbitMQ, rabbitmq: str
) -> None:
    storm = Storm(service, None, random.Random(8), {"child": 6, "worker": 1, "beat": 1})

    with storm.over(answers=2):
        service.call(service.requests(REQUESTS, storm.chance), seconds=600)
    storm.revive()
    service.calm()

    ledger = examined(service)
    assert ledger.wrong == ()
    assert (ledger.accepted, ledger.dead) == (REQUESTS, 0)
    assert ledger.uncertain <= storm.kills.total()
    assert storm.kills["child"] >= 3
    assert storm.kills["worker"] >= 1
    names = _names(rabbitmq_server, rabbitmq.rpartition("/")[2])
    assert names >= set(BINDINGS)
    assert {one for one in names if one.startswith("celery")} == set()
