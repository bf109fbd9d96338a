"""A RabbitMQ cluster loses the node that everybody is connected to, while bookings run."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from booking_tasks.ops.servers import wait_until
from tests.faults.conftest import Open
from tests.faults.invariants import examined
from tests.faults.running_service import PATIENT
from tests.rabbitmq_cluster import Relay, running_cluster

pytestmark = [
    pytest.mark.rabbitmq,
    pytest.mark.stack,
    pytest.mark.long,
    pytest.mark.timeout(3600),
]

BOOKINGS = 500


def test_a_node_killed_while_500_bookings_run_loses_nothing(open_service: Open, tmp_path: Path) -> None:
    with running_cluster(tmp_path / "cluster") as nodes, Relay([node.port for node in nodes]) as relay:
        url = nodes[0].url().replace(f":{nodes[0].port}/", f":{relay.port}/")
        assert nodes[0].evaluate("length(rabbit_nodes:all_running()).") == "3"
        nodes[0].declare_queues()
        with open_service(8, 60, **PATIENT, CELERY_BROKER_URL=url) as service:
            service.start()

            def kill_one() -> None:
                wait_until(lambda: len(service.book.answers) > BOOKINGS // 4, "a quarter of them", 3000)
                nodes[0].kill()

            killer = threading.Thread(target=kill_one)
            killer.start()
            service.call(service.requests(BOOKINGS, random.Random(9), days=5), seconds=3000)
            killer.join()
            service.calm(600)

            ledger = examined(service)
            assert ledger.wrong == ()
            assert (ledger.accepted, ledger.dead) == (BOOKINGS, 0)
            assert nodes[1].evaluate("length(rabbit_nodes:all_running()).") == "2"
