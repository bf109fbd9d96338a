"""`booking-tasks absence`, called as on the command line."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.models import AbsencePlan, Event, ScheduledSession
from booking_tasks.ops.cli import cli
from tests import builders
from tests.absence.scenario import HOUR, TEN, colleague, meeting
from tests.builders import NOW


def booking(*arguments: object) -> Result:
    typed = ["absence", *(str(one) for one in arguments), "--who", "ann"]
    return CliRunner().invoke(cli, typed, catch_exceptions=False)


@pytest.fixture
def session(own_database: str, monkeypatch: pytest.MonkeyPatch) -> ScheduledSession:
    """An agreed session, and a colleague who could take it."""
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    settings.cache_clear()
    with transaction() as db:
        clock.step(db, NOW)
        service_type = builders.service_type(db).id
        colleague(db, (TEN, 2))
        return meeting(db, colleague(db, (TEN - HOUR, 8)), service_type, TEN)


def planned(session: ScheduledSession, *more: object) -> Result:
    return booking(
        "plan",
        session.consultant_user_id,
        "--from",
        "2027-03-03T09:00",
        "--to",
        "2027-03-03T18:00",
        "--why",
        "ill",
        *more,
    )


def plan_id() -> UUID:
    with transaction() as db:
        return db.execute(select(AbsencePlan.id)).scalar_one()


def test_a_plan_is_shown_applied_and_undone(session: ScheduledSession) -> None:
    ran = planned(session)
    first, last = ran.stdout.splitlines()
    assert ran.exit_code == 0
    assert first.split()[:4] == [str(session.id), "reassign", "2027-03-03", "10:00Z"]
    assert first.split()[-2:] == ["best", "planned"]
    assert last == f"plan {plan_id()} draft: 1 sessions"

    applied = booking("apply", plan_id()).stdout.splitlines()
    assert applied[-2].endswith("applied")
    announced_at = NOW + timedelta(minutes=5)
    assert applied[-1] == f"plan {plan_id()} applied, announced at {announced_at:%Y-%m-%d %H:%M}Z: 1 sessions"
    assert booking("undo", plan_id()).stdout.splitlines()[-2].endswith("undone")
    with transaction() as db:
        events = db.execute(select(Event.type, Event.actor, Event.entry_point).order_by(Event.position)).all()
    assert [tuple(one) for one in events] == [
        ("absence.applied", "ann", "operator"),
        ("absence.undone", "ann", "operator"),
    ]


def test_what_is_refused_names_the_code_on_the_other_stream(session: ScheduledSession) -> None:
    ran = booking("apply", uuid4())
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.splitlines()[-1] == "refused: unknown_plan"
    ran = booking("plan", session.consultant_user_id, "--why", "ill", "--to", "2027-03-03T18:00")
    assert ran.stderr.splitlines() == ["request: start and end come together", "refused: invalid"]
    ran = planned(session, "--assign", "somebody=else")
    assert ran.exit_code == 2


def test_as_json_it_is_the_outcome_with_those_who_stay_left_out(session: ScheduledSession) -> None:
    outcome = json.loads(planned(session, "--json").stdout)
    assert (outcome["state"], len(outcome["steps"])) == ("draft", 1)
    assert json.loads(planned(session, "--except", session.id, "--json").stdout)["steps"] == []
