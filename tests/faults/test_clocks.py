"""A worker's host may have any clock: business time is the database's, leases are the database's."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from booking_tasks.kit.database import transaction
from booking_tasks.ops.service_processes import EFFECTS, FRONT
from tests.faults.conftest import Open
from tests.faults.invariants import examined
from tests.faults.running_service import MONDAY, PATIENT, TUESDAY

WRONG_CLOCK = str(Path(__file__).parent / "wrong_clock")

#: Every column that holds business time, all of it written by workers.
_WRITTEN = text("""
    SELECT occurred_at FROM events
    UNION ALL SELECT requested_at FROM consultation_requests
    UNION ALL SELECT updated_at FROM consultation_requests
    UNION ALL SELECT deadline_at - interval '48 hours' FROM consultation_requests
               WHERE preferred_end_time IS NULL
    UNION ALL SELECT revised_at FROM scheduled_sessions
    UNION ALL SELECT created_at FROM scheduled_sessions
    UNION ALL SELECT decided_at FROM assignment_decisions
    UNION ALL SELECT due_at FROM jobs
     WHERE job_type IN ('assign_request', 'provision_meeting', 'publish_event')
""")


@pytest.mark.long
@pytest.mark.stack
@pytest.mark.timeout(300)
def test_workers_an_hour_ahead_and_an_hour_behind_work_as_one(open_service: Open) -> None:
    """And one whose clock is set by two hours, back and forth, while it works."""
    with open_service(**PATIENT) as service:
        service.stack.beat()
        service.stack.environment["PYTHONPATH"] = WRONG_CLOCK
        for name, queues, wrong in (
            ("ahead", FRONT, "0:3600"),
            ("behind", EFFECTS, "0:-3600"),
            ("unsteady", (*FRONT, *EFFECTS), "0:-3600 6:3600 9:-3600"),
        ):
            service.stack.environment["WRONG_CLOCK"] = wrong
            service.stack.worker(name, queues, concurrency=1)
        service.wait_ready()

        service.call(service.requests(25, random.Random(13)))
        service.calm()

        with transaction() as db:
            assert set(db.execute(_WRITTEN).scalars()) <= {MONDAY, None}
        service.live_through(TUESDAY + timedelta(days=3), hop=timedelta(hours=24))
        ledger = examined(service)
        assert ledger.wrong == ()
        assert (ledger.accepted, ledger.uncertain, ledger.dead) == (25, 0, 0)
