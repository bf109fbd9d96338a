"""Two processes at once: one runs a message, one sweep plans, and the locks of a killed one are free."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from booking_tasks.kit.database import transaction, try_lock
from booking_tasks.models import ConsultationRequest
from booking_tasks.ops.servers import wait_until
from tests.conftest import DIRECT_AND_POOLED
from tests.inbox.test_tasks import count, inbox_row, message
from tests.pooled_processes import deliver, hold_lock, stepped_process

pytestmark = [DIRECT_AND_POOLED, pytest.mark.usefixtures("own_database", "valkey")]

_LOCK = "a sweep"


def advisory_locks() -> int:
    """How many advisory locks anybody holds in this database."""
    held = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with transaction() as db:
        return int(db.execute(text(held)).scalar_one())


def is_free() -> bool:
    with try_lock(_LOCK, timedelta(seconds=10)) as is_locked:
        return is_locked


def test_a_second_process_waits_for_the_first_and_gets_its_answer(service_type: UUID) -> None:
    body = message(service_type)
    with stepped_process(deliver, body) as first:
        assert first.report() == "running"
        with stepped_process(deliver, body) as second:
            assert second.report() == "waiting"
            assert not second.has_reported()
            first.go_on()
            answer: dict[str, Any] = first.report()
            assert second.report() == answer
    assert answer["result"] == "done"
    assert (inbox_row(body).attempts, count(ConsultationRequest)) == (1, 1)


def test_a_message_whose_process_was_killed_runs_in_another_one(service_type: UUID) -> None:
    body = message(service_type)
    with stepped_process(deliver, body) as first:
        assert first.report() == "running"
        with stepped_process(deliver, body) as second:
            assert second.report() == "waiting"
            first.kill()
            assert second.report() == "running"
            second.go_on()
            assert second.report()["result"] == "done"
    assert (inbox_row(body).attempts, count(ConsultationRequest)) == (2, 1)


def test_one_process_has_the_lock_of_a_sweep_and_leaves_nothing_behind() -> None:
    with stepped_process(hold_lock, _LOCK) as first, stepped_process(hold_lock, _LOCK) as second:
        assert sorted([first.report(), second.report()]) == [False, True]
        assert not is_free()
        with transaction() as db:  # other work of the same clients does not release it
            db.execute(select(func.count()).select_from(ConsultationRequest))
        assert not is_free()
        for one in (first, second):
            one.go_on()
            assert one.report() == "released"
        assert is_free()
    assert advisory_locks() == 0


def test_the_lock_of_a_sweep_is_free_once_its_process_was_killed() -> None:
    with stepped_process(hold_lock, _LOCK) as holder:
        assert holder.report() is True
        assert not is_free()
        holder.kill()
        wait_until(is_free, "the lock of the killed process", 10)
    assert advisory_locks() == 0


def test_many_sweeps_after_another_leave_no_lock_and_no_time_limit_behind() -> None:
    assert all(is_free() for _ in range(20))
    assert advisory_locks() == 0
    with transaction() as db:
        shown = db.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()
    assert shown == "1min"
