"""What is purged of the explanations of choices: those of old choices, and who was forgotten meanwhile."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.kit.ids import first_id_of, made_at, uuid7
from booking_tasks.models import AssignmentDecision, ForgottenPerson
from tests.builders import NOW, consultant
from tests.retention.test_consultations import decision, ended
from tests.retention.test_service import days_ago, left, purge


def test_decisions_go_after_their_age_unless_their_request_is_open(db: Session, ctx: Context) -> None:
    over, waiting = ended(db, 1), ended(db, 500, status="pending_assignment")
    now = days_ago(db, 0)
    old, young = (decision(over.id, now - timedelta(days=days)) for days in (366, 364))
    of_waiting = decision(waiting.id, now - timedelta(days=367))
    db.add_all([old, young, of_waiting])
    db.flush()
    kept = {young.id, of_waiting.id}
    assert purge(db, ctx, "decisions") == 1
    assert {row.id for row in left(db, AssignmentDecision)} == kept


def candidates_of(db: Session, row: AssignmentDecision) -> list[str]:
    db.refresh(row)
    return [one["consultant_user_id"] for one in row.candidates]


def test_a_candidate_who_was_forgotten_meanwhile_leaves_the_explanations_of_these_days(
    db: Session, ctx: Context
) -> None:
    stays, gone = consultant(db).consultant_user_id, uuid7()
    request = ended(db, 1)
    both = [{"consultant_user_id": str(one), "load": 0} for one in (gone, stays)]
    rows = {days: decision(request.id, days_ago(db, 0) - timedelta(days=days)) for days in (0, 1, 3)}
    for row in rows.values():
        row.candidates = both
    alone = decision(request.id, days_ago(db, 0) - timedelta(hours=1))
    alone.candidates = both[:1]
    db.add_all([*rows.values(), alone])
    db.flush()
    assert purge(db, ctx, "forgotten_candidates") == 0

    db.add(ForgottenPerson(person_id=uuid7(), forgotten_at=NOW - timedelta(hours=20)))
    db.flush()
    assert purge(db, ctx, "forgotten_candidates") == 3
    assert purge(db, ctx, "forgotten_candidates") == 0
    assert {days: candidates_of(db, row) for days, row in rows.items()} == {
        0: [str(stays)],
        1: [str(stays)],
        3: [str(gone), str(stays)],
    }
    assert candidates_of(db, alone) == []


def test_the_first_id_of_an_instant_is_below_every_id_made_then() -> None:
    one = uuid7()
    at = made_at(one)
    assert at is not None
    assert first_id_of(at) <= one < first_id_of(at + timedelta(milliseconds=1))
    assert first_id_of(at).version == 7
