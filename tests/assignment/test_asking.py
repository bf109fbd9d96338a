"""Asking for a consultation: given at once where it can be; contradictions are refused at the door."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from booking_tasks.assignment import service
from booking_tasks.assignment.rules import Criteria
from booking_tasks.assignment.store import lock_pool
from booking_tasks.assignment.tasks import submit_request
from booking_tasks.availability.service import Refusal, hold_start
from booking_tasks.context import Context
from booking_tasks.contracts import FallbackCost, RequestOutcome, SearchSlots, SubmitRequest
from booking_tasks.kit import clock, database
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.models import (
    AssignmentDecision,
    AvailabilitySlot,
    ConsultationRequest,
    Job,
    ScheduledSession,
)
from booking_tasks.ops.servers import wait_until
from booking_tasks.search.service import search_slots
from tests import builders
from tests.builders import NOW


def _submitted(db: Session, ctx: Context, service_type_id: UUID, **values: Any) -> RequestOutcome:
    return service.submit(db, ctx, _command(service_type_id, **values))


def _command(service_type_id: UUID, **values: Any) -> SubmitRequest:
    return SubmitRequest(
        message_id=uuid4(),
        actor="mira",
        request_id=uuid4(),
        requester_user_id=uuid4(),
        service_type_id=service_type_id,
        **values,
    )


@pytest.mark.parametrize(
    ("field", "invalid"),
    [
        ("fallback", {"preferred": False, "fallback": "only"}),
        ("fallback", {"preferred": False, "fallback": "wait", "fallback_after": NOW + timedelta(hours=1)}),
        ("fallback_after", {"fallback": "wait"}),
        ("fallback_after", {"fallback": "wait", "fallback_after": NOW}),
        ("fallback_after", {"fallback": "wait", "fallback_after": NOW + timedelta(hours=48)}),
        ("fallback_after", {"fallback": "only", "fallback_after": NOW + timedelta(hours=1)}),
        ("fallback_after", {"fallback_after": NOW + timedelta(hours=1)}),
        ("excluded_consultant_user_ids", {"excluded": True, "fallback": "only"}),
        ("excluded_consultant_user_ids", {"excluded": True}),
    ],
)
def test_a_preference_that_contradicts_itself_is_refused_with_field_and_reason(
    db: Session, ctx: Context, field: str, invalid: dict[str, Any]
) -> None:
    service_type_id, who = builders.service_type(db).id, builders.consultant(db).consultant_user_id
    builders.consultant(db)
    values = {name: value for name, value in invalid.items() if name.startswith("fallback")}
    if invalid.get("preferred", True):
        values["preferred_consultant_user_id"] = who
    if invalid.get("excluded"):
        values["excluded_consultant_user_ids"] = [who]
    outcome = _submitted(db, ctx, service_type_id, **values)
    assert (outcome.result, outcome.code) == ("refused", "contradictory_preference")
    assert [one.field for one in outcome.errors] == [field]
    assert db.scalars(select(ConsultationRequest)).all() == []


def test_only_one_who_cannot_is_refused_and_one_who_may_come_back_is_waited_for(
    db: Session, ctx: Context
) -> None:
    service_type_id = builders.service_type(db).id
    lawyer = builders.consultant(db, specializations=["law"]).consultant_user_id
    away = builders.consultant(db, is_available_for_booking=False).consultant_user_id
    for who, code in ((lawyer, "preferred_cannot"), (away, None)):
        outcome = _submitted(
            db,
            ctx,
            service_type_id,
            fallback="only",
            preferred_consultant_user_id=who,
            required_specializations=["algebra"],
        )
        assert outcome.code == code
    outcome = _submitted(db, ctx, service_type_id, fallback="only", preferred_consultant_user_id=lawyer)
    assert outcome.result == "done"


def test_an_exclusion_that_leaves_nobody_is_refused(db: Session, ctx: Context) -> None:
    service_type_id = builders.service_type(db).id
    fit = [builders.consultant(db).consultant_user_id for _ in range(2)]
    builders.consultant(db, service_type_ids=[])
    assert _submitted(db, ctx, service_type_id, excluded_consultant_user_ids=fit).code == "nobody_left"
    assert _submitted(db, ctx, service_type_id, excluded_consultant_user_ids=fit[:1]).result == "done"


# -- at once -------------------------------------------------------------------------------------------

TOMORROW = NOW + timedelta(days=1)


def _free(db: Session, hours: float = 8, start: datetime = TOMORROW, **values: Any) -> UUID:
    who = builders.consultant(db, **values).consultant_user_id
    builders.window(db, who, start, hours)
    return who


def _jobs(db: Session, request_id: UUID | None) -> list[tuple[str, datetime]]:
    rows = db.execute(select(Job.job_type, Job.due_at).where(Job.subject_id == request_id))
    return [(row[0], row[1]) for row in rows]


def test_a_request_is_booked_in_the_task_that_submits_it(db: Session, ctx: Context) -> None:
    service_type_id, who = builders.service_type(db).id, _free(db)
    outcome = _submitted(db, ctx, service_type_id)
    assert (outcome.result, outcome.status, outcome.reason) == ("done", "scheduled", None)
    assert (outcome.consultant_user_id, outcome.start) == (who, TOMORROW)
    assert outcome.end == TOMORROW + timedelta(hours=1)
    session = db.get_one(ScheduledSession, outcome.session_id)
    assert (session.consultation_request_id, session.scheduled_start_time) == (outcome.request_id, TOMORROW)
    assert _jobs(db, outcome.request_id) == []  # nothing is left to be looked for


def test_confirmation_is_requested_in_the_task_that_submits(db: Session, ctx: Context) -> None:
    service_type_id, who = builders.service_type(db, requires_confirmation=True).id, _free(db)
    outcome = _submitted(db, ctx, service_type_id)
    assert (outcome.status, outcome.consultant_user_id, outcome.session_id) == (
        "pending_confirmation",
        who,
        None,
    )
    held = db.scalars(select(AvailabilitySlot).where(AvailabilitySlot.status == "held")).one()
    assert (held.session_start_time, held.session_end_time) == (outcome.start, outcome.end)


def test_a_request_nobody_can_serve_waits_and_says_for_what(db: Session, ctx: Context) -> None:
    service_type_id = builders.service_type(db).id
    assert _submitted(db, ctx, service_type_id).reason == "no_consultant"
    builders.consultant(db, languages=["en"])
    outcome = _submitted(db, ctx, service_type_id, languages=["de"])
    assert (outcome.result, outcome.status, outcome.reason) == (
        "done",
        "pending_assignment",
        "missing_language",
    )


def test_a_request_waits_for_its_preferred_consultant_until_the_requested_time(
    db: Session, ctx: Context
) -> None:
    service_type_id, other = builders.service_type(db, waiting_list="book").id, _free(db)
    preferred, after = builders.consultant(db).consultant_user_id, NOW + timedelta(hours=2)
    outcome = _submitted(
        db,
        ctx,
        service_type_id,
        preferred_consultant_user_id=preferred,
        fallback="wait",
        fallback_after=after,
    )
    assert (outcome.status, outcome.reason) == ("pending_assignment", "no_free_time")
    assert _jobs(db, outcome.request_id) == [("assign_request", after)]
    assert outcome.request_id is not None
    almost = replace(ctx, now=after - timedelta(microseconds=1))
    assert service.assign(db, almost, outcome.request_id).result == "waiting"
    taken = service.assign(db, replace(ctx, now=after), outcome.request_id)
    assert (taken.result, taken.consultant_user_id) == ("scheduled", other)


def test_only_the_preferred_one_is_never_replaced(db: Session, ctx: Context) -> None:
    service_type_id, _ = builders.service_type(db).id, _free(db)
    preferred = builders.consultant(db).consultant_user_id
    outcome = _submitted(db, ctx, service_type_id, preferred_consultant_user_id=preferred, fallback="only")
    assert (outcome.status, outcome.reason) == ("pending_assignment", "no_free_time")


def test_the_outcome_and_the_decision_say_what_the_fallback_costs(db: Session, ctx: Context) -> None:
    service_type_id, other = builders.service_type(db).id, _free(db)
    preferred = _free(db, start=TOMORROW + timedelta(days=1))
    window = {"preferred_start": TOMORROW, "preferred_end": TOMORROW + timedelta(hours=8)}
    outcome = _submitted(db, ctx, service_type_id, preferred_consultant_user_id=preferred, **window)
    assert (outcome.consultant_user_id, outcome.start) == (other, TOMORROW)
    assert outcome.fallback is not None
    assert outcome.fallback.reason == "no_free_time"
    assert outcome.fallback.minutes_later == -24 * 60
    assert outcome.fallback.score_difference is not None
    # what preference adds, less what the window's beginning does; all else is the same
    assert outcome.fallback.score_difference == pytest.approx(100 - 2)
    stored = db.scalars(select(AssignmentDecision)).one().inputs
    assert stored["fallback"] == outcome.fallback.model_dump()
    never = builders.consultant(db).consultant_user_id
    outcome = _submitted(db, ctx, service_type_id, preferred_consultant_user_id=never, **window)
    assert outcome.fallback == FallbackCost(reason="no_free_time")


def test_an_assignment_that_would_wait_too_long_is_left_to_the_job(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKING_LOCK_TIMEOUT", "0.2")
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    settings.cache_clear()
    database.engine.cache_clear()
    ctx = Context(now=NOW, actor="mira", entry_point="booking")
    with transaction() as db:
        clock.step(db, NOW)
        service_type_id, who = builders.service_type(db).id, _free(db)
    with transaction() as rival:
        lock_pool(rival, Criteria(uuid4(), service_type_id), NOW)
        outcome = RequestOutcome.model_validate(
            submit_request(_command(service_type_id).model_dump(mode="json"))
        )
    assert (outcome.result, outcome.status) == ("done", "pending")
    with transaction() as db:
        assert _jobs(db, outcome.request_id) == [("assign_request", NOW)]
    with transaction() as db:
        assert outcome.request_id is not None
        assert service.assign(db, ctx, outcome.request_id).consultant_user_id == who


def test_the_loser_of_a_race_goes_to_its_next_candidate_in_the_same_run(own_database: str) -> None:
    """Two kinds are two pools: their requests meet at the consultant, not before."""
    ctx = Context(now=NOW, actor="mira", entry_point="booking")
    window = {"preferred_start": TOMORROW, "preferred_end": TOMORROW + timedelta(hours=1)}
    with transaction() as db:
        kinds = [builders.service_type(db).id for _ in range(2)]
        best, next_ = _free(db, priority_tier=1), _free(db)
    with transaction() as rival:
        assert _submitted(rival, ctx, kinds[0], **window).consultant_user_id == best
        with ThreadPoolExecutor(1) as pool:

            def ask() -> RequestOutcome:
                with transaction() as db:
                    return _submitted(db, ctx, kinds[1], **window)

            loser = pool.submit(ask)
            wait_until(lambda: _waiting_for_a_lock(rival), "the loser at the consultant")
            rival.commit()
            outcome = loser.result(30)
    assert (outcome.status, outcome.consultant_user_id) == ("scheduled", next_)
    with transaction() as db:
        decisions = db.scalars(select(AssignmentDecision).order_by(AssignmentDecision.id))
        lost = {one["consultant_user_id"]: one["rejected"] for one in list(decisions)[-1].candidates}
    assert lost == {str(best): "lost_the_race", str(next_): None}


def _waiting_for_a_lock(db: Session) -> bool:
    waiting = "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
    return bool(db.execute(text(waiting)).scalar_one())


def test_a_consultant_without_a_service_type_is_neither_offered_nor_held_for_it(
    db: Session, ctx: Context
) -> None:
    offered, other = (builders.service_type(db).id for _ in range(2))
    who = _free(db, service_type_ids=[offered])
    for service_type_id, there in ((offered, True), (other, False)):
        found = search_slots(db, ctx, SearchSlots(service_type_id=service_type_id, start=TOMORROW))
        assert ({one.consultant_user_id for one in found.starts} == {who}) is there
        held = hold_start(db, ctx, builders.request(db, service_type_id), who, TOMORROW, TOMORROW)
        assert (not isinstance(held, Refusal)) is there
