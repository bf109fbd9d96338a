"""The soak's command runs: a few bookings of what `make soak` does with thousands."""

from __future__ import annotations

import pytest

from tests.faults.__main__ import soak


@pytest.mark.stack
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("broker", ["valkey", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def test_a_short_soak_keeps_every_promise(broker: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert soak(seed=1, bookings=40, broker=broker) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    [figures] = [line for line in lines if line[:3] == ["1", "40", "40"]]
    assert int(figures[9]) >= 5
