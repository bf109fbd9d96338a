"""`booking-tasks person`: what an operator types."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

from typer.testing import CliRunner

from booking_tasks.kit.database import transaction
from booking_tasks.models import DirectoryUser, Event
from booking_tasks.ops.cli import cli
from tests import builders
from tests.builders import NOW


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, ["person", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def people(days_ago: int) -> tuple[UUID, UUID]:
    """The requester and the consultant of a session."""
    with transaction() as db:
        status = "completed" if days_ago > 0 else "scheduled"
        session = builders.booked_session(db, NOW - timedelta(days=days_ago), status=status)
        return session.requester_user_id, session.consultant_user_id


def test_a_person_is_exported_and_then_forgotten(own_database: str) -> None:
    requester, _ = people(9)
    exported = json.loads(run("export", str(requester)))
    assert exported["tables"]["directory_users"][0]["name"] == "Mira Lang"
    assert run("forget", str(requester), "--who", "ann") == "done; sessions cancelled: 0, requests: 0\n"
    assert json.loads(run("export", str(requester)))["tables"] == {}
    assert "already_done" in run("forget", str(requester), "--who", "ann", "--json")
    with transaction() as db:
        assert db.get(DirectoryUser, requester) is None
        [event] = [one for one in db.query(Event) if one.type == "person.forgotten"]
        assert (event.actor, event.entry_point) == ("ann", "operator")


def test_a_refusal_names_the_remedy(own_database: str) -> None:
    _, consultant = people(-400)
    shown = run("forget", str(consultant), "--who", "ann", code=1)
    assert "plan_absence" in shown
    assert "refused: sessions_ahead" in shown
