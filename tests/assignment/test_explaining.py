"""Every decision can be asked for, with its inputs, everyone's terms and the reasons against the others."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from booking_tasks.assignment import explaining, service, store
from booking_tasks.context import Context, Weights
from booking_tasks.contracts import ExplainAssignment, ExplainOutcome
from booking_tasks.kit.database import transaction
from booking_tasks.models import ConsultationRequest
from booking_tasks.ops.cli import cli
from tests import builders
from tests.builders import NOW

TOMORROW = NOW + timedelta(days=1)
MOMENT = Context(now=NOW, actor="test", entry_point="booking")


def _decided(db: Session) -> tuple[ConsultationRequest, dict[str, Any]]:
    """A request that first nobody could serve, then the second choice got."""
    service_type = builders.service_type(db, waiting_list="book", assignment_weights={"earliest": 3.0})
    unskilled = builders.consultant(db, specializations=["law"]).consultant_user_id
    preferred, other = (builders.consultant(db).consultant_user_id for _ in range(2))
    request = builders.request(
        db, service_type.id, preferred_consultant_user_id=preferred, required_specializations=["algebra"]
    )
    service.assign(db, MOMENT, request.id)
    builders.window(db, other, TOMORROW)
    service.assign(db, MOMENT, request.id)
    return request, {"unskilled": unskilled, "preferred": preferred, "other": other}


def _explained(db: Session, request: ConsultationRequest) -> ExplainOutcome:
    return explaining.explain(db, MOMENT, ExplainAssignment(request_id=request.id))


def test_each_evaluation_is_explained_with_inputs_terms_and_reasons(db: Session) -> None:
    request, people = _decided(db)
    found = _explained(db, request)
    assert (found.result, found.status) == ("done", "scheduled")
    nobody, chosen = found.decisions
    assert (nobody.reason, nobody.consultant_user_id) == ("no_free_time", None)
    assert {one.rejected for one in nobody.candidates} == {"no_free_time", "missing_specialization"}
    assert (chosen.reason, chosen.consultant_user_id, chosen.start) == ("chosen", people["other"], TOMORROW)
    assert [(one.consultant_user_id, one.rejected) for one in chosen.candidates] == [
        (people["other"], None),
        (people["preferred"], "no_free_time"),
        (people["unskilled"], "missing_specialization"),
    ]
    weights = Weights().with_changes({"earliest": 3.0}).by_term()
    assert chosen.inputs["weights"] == weights
    assert chosen.inputs["fallback"]["reason"] == "no_free_time"
    best = chosen.candidates[0]
    assert best.total == pytest.approx(sum(weights[term] * value for term, value in best.terms.items()))
    assert set(chosen.inputs["balances"]) == {str(who) for who in people.values()}


def test_a_decision_of_an_earlier_release_is_explained_as_far_as_it_goes(db: Session) -> None:
    request, people = _decided(db)
    [row, _] = store.decisions(db, request.id)
    row.candidates = [{"consultant_user_id": str(people["other"]), "load": 2, "later": "unknown"}]
    db.flush()
    [old, _] = _explained(db, request).decisions
    assert (old.candidates[0].load, old.candidates[0].terms, old.candidates[0].total) == (2, {}, None)


def test_an_unknown_request_is_refused(db: Session) -> None:
    refused = explaining.explain(db, MOMENT, ExplainAssignment(request_id=uuid4()))
    assert (refused.code, refused.errors[0].field) == ("unknown_request", "request_id")


def test_the_command_line_shows_a_table_and_json(own_database: str) -> None:
    with transaction() as db:
        request, people = _decided(db)
    shown = CliRunner().invoke(cli, ["explain", str(request.id)]).stdout
    assert "no_free_time: nobody" in shown
    assert f"chosen: {people['other']}, 2027-03-02 09:00Z" in shown
    assert "not the preferred one (no_free_time): no start of their own" in shown
    row = next(line for line in shown.splitlines() if str(people["unskilled"]) in line and "│" in line)
    assert "missing_spec" in row
    explanation = json.loads(CliRunner().invoke(cli, ["explain", str(request.id), "--json"]).stdout)
    assert [one["reason"] for one in explanation["decisions"]] == ["no_free_time", "chosen"]
    assert CliRunner().invoke(cli, ["explain", str(uuid4())]).exit_code != 0
