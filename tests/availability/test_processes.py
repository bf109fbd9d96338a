"""Eight processes book starts that overlap each other, all at once: no overlap, no unfounded refusal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from booking_tasks.kit.database import transaction
from tests import builders
from tests.builders import NOW
from tests.invariants import ALWAYS

PROCESSES, CONSULTANTS = 8, 5
#: A session of an hour and ten minutes after it, in steps of five: so many starts on either side collide.
REACH = 14


@pytest.mark.stack
@pytest.mark.parametrize("starts_each", [120, pytest.param(300, marks=pytest.mark.long)])
def test_eight_processes_on_overlapping_starts_leave_no_overlap_and_no_unfounded_refusal(
    own_database: str, starts_each: int
) -> None:
    with transaction() as db:
        service_type = builders.service_type(db, slot_step_minutes=5, buffer_after_minutes=10).id
        consultants = [builders.consultant(db).consultant_user_id for _ in range(CONSULTANTS)]
        for one in consultants:
            builders.window(db, one, NOW + timedelta(days=1), hours=starts_each * 5 / 60 + 1)
    results = _all_at_once(starts_each, service_type, consultants)

    codes = {code for _, _, code in results}
    assert (len(results), codes) == (CONSULTANTS * starts_each, {"booked", "slot_taken"})
    booked = defaultdict(list)
    for who, number, code in results:
        if code == "booked":
            booked[who].append(number)
    refused = [(who, number) for who, number, code in results if code == "slot_taken"]
    assert [
        (who, number)
        for who, number in refused
        if not any(abs(number - other) < REACH for other in booked[who])
    ] == []
    with transaction() as db:
        overlaps = ALWAYS["two reservations of one consultant overlap"]
        assert db.execute(text(overlaps)).all() == []
        sessions = db.execute(text("SELECT count(*) FROM scheduled_sessions")).scalar_one()
    assert sessions == sum(map(len, booked.values()))


def _all_at_once(starts_each: int, service_type: UUID, consultants: list[UUID]) -> list[tuple[str, int, str]]:
    rivals = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.availability.rival"]
            + [str(one) for one in (rank, PROCESSES, starts_each, service_type, *consultants)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(PROCESSES)
    ]
    for one in rivals:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in rivals:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    answers = [one.communicate(timeout=120)[0] for one in rivals]
    assert [one.returncode for one in rivals] == [0] * PROCESSES
    return [(who, number, code) for answer in answers for who, number, code in json.loads(answer)]
