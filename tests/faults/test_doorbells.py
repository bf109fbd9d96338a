"""The broker is a doorbell: every ring may be lost, and every ring may come twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest

from booking_tasks.ops.stack import EFFECTS, FRONT
from tests.faults.conftest import Open
from tests.faults.house import PATIENT, TUESDAY, House
from tests.faults.invariants import examined

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


@pytest.fixture
def house(open_house: Open) -> Iterator[House]:
    with open_house(**PATIENT) as house:
        yield house


@pytest.mark.parametrize("rings", ["lost", "doubled"])
def test_whatever_becomes_of_the_rings_everything_is_done_once(house: House, rings: str) -> None:
    house.stack.environment["TWIST_RINGS"] = rings
    for name, queues in (("front", FRONT), ("effects", EFFECTS)):
        house.stack.plain(name, "worker", "-Q", ",".join(queues), "-c", "2", app="tests.faults.twisted")
    house.stack.beat()
    house.wait_ready()

    house.call(house.wishes(12, random.Random(6)))
    house.calm()
    house.live_through(TUESDAY + timedelta(days=3), hop=timedelta(hours=24))

    ledger = examined(house)
    assert ledger.wrong == ()
    assert (ledger.accepted, ledger.uncertain, ledger.dead) == (12, 0, 0)
