"""What is due is announced by job type, and a lease takes at most a batch, whatever plan is chosen."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from booking_tasks.jobs import store
from booking_tasks.kit.database import transaction
from booking_tasks.outbox.job_args import SendInvite
from tests.conftest import DIRECT_AND_POOLED
from tests.jobs.test_runner import SOON, written

pytestmark = [DIRECT_AND_POOLED, pytest.mark.usefixtures("own_database", "valkey")]


def test_no_plan_of_the_database_leases_more_than_the_batch() -> None:
    for _ in range(20):
        written()
    with transaction() as db:
        for way in ("hashjoin", "mergejoin", "hashagg", "sort", "material", "indexscan", "bitmapscan"):
            db.execute(text(f"SET LOCAL enable_{way} = off"))
        assert len(store.lease(db, SendInvite, datetime.now(UTC), 3, SOON)[0]) == 3


def test_every_job_type_with_due_work_gets_a_wakeup() -> None:
    written("send_invite")
    written("assign_request")
    written("send_reminder", due=datetime(2100, 1, 1, tzinfo=UTC))
    with transaction() as db:
        assert store.due_job_types(db, datetime.now(UTC)) == {"send_invite", "assign_request"}
