"""`booking-tasks availability`, called as on the command line."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner, Result

from booking_tasks.contracts import Hours
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.errors import BookingTasksError
from booking_tasks.models import AvailabilityRule, AvailabilitySlot, ConsultantLeave
from booking_tasks.ops.cli import cli
from tests import builders

pytestmark = pytest.mark.usefixtures("own_database")

HOURS = """
weekly = [
  { weekday = 1, start = 09:00:00, end = 11:00:00 },
  { weekday = 1, start = 22:00:00, end = 02:00:00 },
]
"""
SECONDLY = {"start": "2027-03-01T09:00", "duration_minutes": 5, "rrule": "FREQ=SECONDLY"}
PAGE = Path(__file__).parents[2] / "docs" / "availability.md"


def booking(*arguments: object) -> Result:
    typed = ["availability", *(str(one) for one in arguments)]
    return CliRunner().invoke(cli, typed, catch_exceptions=False)


@pytest.fixture
def who() -> UUID:
    with transaction() as db:
        return builders.consultant(db, time_zone="Europe/Vienna").consultant_user_id


def test_a_file_of_hours_is_previewed_with_its_slots_and_nothing_is_written(
    who: UUID, tmp_path: Path
) -> None:
    with transaction() as db:
        service_type = builders.service_type(db).id
    file = tmp_path / "hours.toml"
    file.write_text(HOURS)
    ran = booking("preview", who, "--file", file, "--slots", service_type, "--limit", 3)
    lines = ran.stdout.splitlines()
    assert ran.exit_code == 0
    assert lines[0] == "times in Europe/Vienna"
    assert lines[1].startswith("added: ")
    assert lines[1].endswith(", the first 3")
    assert any(line.startswith("  Mon ") for line in lines[2:5])
    assert any(" 22:00 - Tue " in line for line in lines[2:5])
    assert lines[5:7] == ["removed: 0", "orphaned sessions: 0"]
    assert lines[7] == "slots: 3"
    assert len(lines) == 11
    with transaction() as db:
        for table in (AvailabilityRule, AvailabilitySlot, ConsultantLeave):
            assert db.scalar(select(func.count()).select_from(table)) == 0


def test_the_pages_own_example_is_a_file_of_hours(who: UUID, tmp_path: Path) -> None:
    file = tmp_path / "hours.toml"
    file.write_text(PAGE.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0])
    assert booking("preview", who, "--file", file).exit_code == 0


def test_json_goes_in_and_out(who: UUID, tmp_path: Path) -> None:
    file = tmp_path / "hours.json"
    file.write_text(
        Hours.model_validate({"weekly": [{"weekday": 1, "start": "09:00", "end": "10:00"}]}).model_dump_json()
    )
    ran = booking("preview", who, "--file", file, "--json", "--leave", "2027-03-01T00:00/2027-03-02T00:00")
    assert json.loads(ran.stdout)["added_count"] in {12, 13, 14}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("hours.toml", "weekly = 3", "hours.weekly: Input should be a valid tuple"),
        ("hours.json", json.dumps({"recurring": [SECONDLY]}), "hours.recurring.0.rrule: FREQ must be one of"),
    ],
)
def test_wrong_hours_are_reported_with_their_field(
    who: UUID, tmp_path: Path, name: str, content: str, problem: str
) -> None:
    (tmp_path / name).write_text(content)
    ran = booking("preview", who, "--file", tmp_path / name)
    assert ran.exit_code == 1
    assert problem in ran.stderr
    assert "refused: invalid" in ran.stderr


@pytest.mark.parametrize(
    ("name", "content"), [("a.toml", "= ="), ("a.json", "{"), ("a.json", "[]"), ("a.json", " " * 2_000_000)]
)
def test_a_file_that_is_none_is_one_line(who: UUID, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BookingTasksError, match=name):
        booking("preview", who, "--file", tmp_path / name)


def test_an_unknown_consultant_is_refused() -> None:
    ran = booking("preview", uuid4())
    assert (ran.exit_code, ran.stderr) == (1, "refused: unknown_consultant\n")


def test_uncovered_sessions_are_listed_with_their_reason() -> None:
    with transaction() as db:
        session = builders.booked_session(db, start=builders.NOW.replace(year=2099))
    who = session.consultant_user_id
    for arguments in ([who], []):
        lines = booking("uncovered", *arguments).stdout.splitlines()
        assert [line.split() for line in lines] == [
            [str(session.id), "hours", "consultant", str(who)],
            ["1", "uncovered"],
        ]
    as_json = json.loads(booking("uncovered", who, "--json").stdout)
    assert as_json == [{"consultant_user_id": str(who), "session_id": str(session.id), "reason": "hours"}]
    with pytest.raises(BookingTasksError, match="is no consultant"):
        booking("uncovered", uuid4())


def test_what_is_free_is_listed_in_pieces_and_in_slots() -> None:
    with transaction() as db:
        service_type = builders.service_type(db).id
        who, other, idle = (builders.consultant(db).consultant_user_id for _ in range(3))
        day = clock.now(db).replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=2)
        for one in (who, other):
            builders.window(db, one, day, hours=3)
        db.add(
            AvailabilitySlot(
                consultant_user_id=who,
                status="unavailable",
                source="leave",
                start_time=day + timedelta(hours=1),
                end_time=day + timedelta(hours=2),
            )
        )
    lines = booking("free", who, idle, "--zone", "Asia/Kathmandu").stdout.splitlines()
    assert lines == [
        f"{who}  {day:%a %Y-%m-%d} 15:45 - 16:45",
        f"{who}  {day:%a %Y-%m-%d} 17:45 - 18:45",
        "2 free, times in Asia/Kathmandu",
    ]
    assert booking("free").stdout.splitlines()[-1] == "3 free, times in UTC"
    assert booking("free", "--days", 1).stdout.splitlines()[-1] == "0 free, times in UTC"
    slots = [
        json.loads(line) for line in booking("free", "--slots", service_type, "--json").stdout.splitlines()
    ]
    mine = [one["start"] for one in slots if one["consultant_user_id"] == str(who)]
    assert mine == [(day + timedelta(hours=hour)).isoformat() for hour in (0, 2)]
    assert len(slots) == 2 + 5
