"""How long a question waits, who is asked next, and what follows when nobody is left to ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.assignment.rules import ALL_DECLINED, LASTING, Candidate, unassigned_reason
from booking_tasks.availability import service as availability
from booking_tasks.catalogue.service import upsert_service_type
from booking_tasks.context import Context
from booking_tasks.contracts import ConfirmHold, HoldSlot, UpsertServiceType
from booking_tasks.holds import service as holds
from booking_tasks.intake import service
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AssignmentDecision, ConsultationRequest, Event, ServiceType
from booking_tasks.requests.confirmation_requests import confirmation_request, latest_confirmation_request
from booking_tasks.requests.rules import confirmation_deadline
from tests import builders
from tests.builders import NOW
from tests.intake.confirmation_scenario import TOMORROW, ConfirmationScenario, assigned_consultant

DAY = timedelta(days=1)


def held_until(scenario: ConfirmationScenario, request: ConsultationRequest) -> timedelta:
    """How long from now the question waits."""
    held = availability.held_slot(scenario.db, request.id)
    assert held is not None
    assert held.held_until is not None
    return held.held_until - scenario.ctx.now


def assign_again(scenario: ConfirmationScenario, request: ConsultationRequest) -> assignment.Assignment:
    return assignment.assign(scenario.db, scenario.ctx, request.id)


# -- how long -------------------------------------------------------------------------------------------


@given(
    minutes=st.none() | st.integers(1, 525_600),
    default=st.timedeltas(timedelta(minutes=1), timedelta(days=30)),
    ahead=st.timedeltas(timedelta(seconds=1), timedelta(days=90)),
)
def test_a_confirmation_request_waits_as_long_as_its_service_type_has_and_never_past_the_start(
    minutes: int | None, default: timedelta, ahead: timedelta
) -> None:
    expected = default if minutes is None else timedelta(minutes=minutes)

    assert confirmation_deadline(NOW, minutes, default, NOW + ahead) == NOW + min(expected, ahead)


@pytest.mark.parametrize(("minutes", "waits"), [(None, DAY), (90, timedelta(minutes=90)), (10_000, DAY)])
def test_a_service_type_has_a_deadline_of_its_own(
    db: Session, ctx: Context, minutes: int | None, waits: timedelta
) -> None:
    scenario = ConfirmationScenario(db, ctx, confirmation_minutes=minutes)
    request = scenario.pending()

    assert held_until(scenario, request) == waits  # the start is a day ahead
    sent = latest_confirmation_request(db, request.id)
    assert sent is not None
    assert db.get_one(Event, sent.id).after["until"] == (scenario.ctx.now + waits).isoformat()
    assert (sent.start, sent.end) == (TOMORROW, TOMORROW + timedelta(hours=1))


def test_a_confirmed_hold_waits_for_its_consultant_as_long_as_its_service_type_has(
    db: Session, ctx: Context
) -> None:
    scenario = ConfirmationScenario(db, ctx, confirmation_minutes=45)
    held = holds.hold_slot(
        db,
        ctx,
        HoldSlot(
            message_id=uuid4(),
            actor="mira",
            request_id=uuid7(),
            requester_user_id=uuid7(),
            service_type_id=scenario.service_type.id,
            consultant_user_id=scenario.consultants[0],
            start=TOMORROW,
            minutes=10,
        ),
    )
    assert held.request_id is not None
    assert held.hold_token is not None
    holds.confirm_hold(
        db,
        ctx,
        ConfirmHold(message_id=uuid4(), actor="mira", request_id=held.request_id, hold_token=held.hold_token),
    )

    request = db.get_one(ConsultationRequest, held.request_id)
    assert request.status == "pending_confirmation"
    assert held_until(scenario, request) == timedelta(minutes=45)


def test_deadline_and_policy_come_in_by_message_and_wrong_ones_are_refused(db: Session, ctx: Context) -> None:
    values: dict[str, Any] = {
        "message_id": uuid4(),
        "actor": "admin",
        "service_type_id": uuid7(),
        "name": "Review",
        "default_duration_minutes": 60,
    }
    upsert_service_type(db, ctx, UpsertServiceType.model_validate(values))
    service_type = db.get_one(ServiceType, values["service_type_id"])
    assert (service_type.confirmation_minutes, service_type.when_all_declined) == (None, "wait")

    more = {"confirmation_minutes": 30, "when_all_declined": "reject"}
    upsert_service_type(db, ctx, UpsertServiceType.model_validate(values | more))
    db.refresh(service_type)
    assert (service_type.confirmation_minutes, service_type.when_all_declined) == (30, "reject")
    for name, wrong in {"confirmation_minutes": 0, "when_all_declined": "shrug"}.items():
        with pytest.raises(ValueError, match=name):
            UpsertServiceType.model_validate(values | {name: wrong})


@pytest.mark.parametrize("wrong", ["confirmation_minutes = 0", "when_all_declined = 'shrug'"])
def test_the_database_itself_refuses_other_policies(db: Session, wrong: str) -> None:
    builders.service_type(db)
    with pytest.raises(IntegrityError):
        db.execute(text(f"UPDATE consultation_service_types SET {wrong}"))


# -- who is asked next, and when nobody is left ---------------------------------------------------------


def test_a_consultant_who_declined_or_did_not_answer_gets_no_second_request(
    scenario: ConfirmationScenario,
) -> None:
    request = scenario.pending(preferred_start=TOMORROW + timedelta(hours=4))
    first = assigned_consultant(request)
    scenario.later(hours=24, seconds=1)
    service.expire_unanswered(scenario.db, scenario.ctx, request.id)
    assert assign_again(scenario, request).result == "confirmation_requested"
    second = assigned_consultant(request)
    scenario.decline(request, second)

    assert {first, second} == set(scenario.consultants)
    assert request.excluded_consultant_user_ids == [first, second]
    assert assign_again(scenario, request).result == "waiting"


@pytest.mark.parametrize(("policy", "status"), [("wait", "pending_assignment"), ("reject", "rejected")])
def test_after_the_last_candidate_the_service_type_decides(
    db: Session, ctx: Context, policy: str, status: str
) -> None:
    scenario = ConfirmationScenario(db, ctx, when_all_declined=policy)
    request = scenario.pending()
    scenario.decline(request, assigned_consultant(request))
    assign_again(scenario, request)
    scenario.decline(request, assigned_consultant(request))
    found = assign_again(scenario, request)

    rejected = policy == "reject"
    assert (request.status, request.status_reason) == (status, "all_declined")
    assert found.result == ("rejected" if rejected else "waiting")
    notice = ("request_rejected", request.requester_user_id)
    assert scenario.notices(request).count(notice) == int(rejected)
    last = db.execute(
        select(AssignmentDecision.reason)
        .where(AssignmentDecision.consultation_request_id == request.id)
        .order_by(AssignmentDecision.id.desc())
        .limit(1)
    ).scalar_one()
    assert last == "all_declined"
    assert assign_again(scenario, request).result == ("nothing" if rejected else "waiting")
    assert scenario.notices(request).count(notice) == int(rejected)


def test_somebody_who_is_only_busy_keeps_the_request_waiting(db: Session, ctx: Context) -> None:
    scenario = ConfirmationScenario(db, ctx, when_all_declined="reject")
    busy = builders.consultant(db).consultant_user_id  # could take it, and has no free time now
    request = scenario.pending()
    scenario.decline(request, assigned_consultant(request))
    assign_again(scenario, request)
    scenario.decline(request, assigned_consultant(request))

    found = assign_again(scenario, request)
    assert (found.result, found.reason) == ("waiting", "no_free_time")
    builders.window(db, busy, TOMORROW)
    assert assign_again(scenario, request).consultant_user_id == busy


def test_no_confirmation_request_is_not_everybody_declined(db: Session, ctx: Context) -> None:
    scenario = ConfirmationScenario(db, ctx, when_all_declined="reject")
    outcome = scenario.submit(required_specializations=("sailing",))
    assert outcome.request_id is not None
    found = assignment.assign(db, ctx, outcome.request_id)

    assert (found.result, found.reason) == ("waiting", "missing_specialization")


def test_everybody_declined_means_that_time_would_change_nothing() -> None:
    def why(*reasons: str, declined: bool = True) -> str:
        found = [Candidate(uuid7(), preferred=False, load=0, rejected=one) for one in reasons]
        return unassigned_reason(found, [uuid7()] if declined else [])

    assert why(*LASTING) == why("excluded") == ALL_DECLINED
    assert why("excluded", declined=False) == "excluded"
    for passing in ("no_free_time", "requester_busy", "lost_the_race"):
        assert why("excluded", passing) == passing
    assert why("excluded", "a reason that nobody knows here") == "excluded"


# -- which question an answer is to ---------------------------------------------------------------------


def test_an_answer_to_another_confirmation_request_is_refused(scenario: ConfirmationScenario) -> None:
    request = scenario.pending()
    who, latest = assigned_consultant(request), latest_confirmation_request(scenario.db, request.id)
    assert latest is not None
    assert (
        scenario.confirm(request, who, confirmation_request_id=uuid4()).code == "other_confirmation_request"
    )
    assert (
        scenario.decline(request, who, confirmation_request_id=uuid4()).code == "other_confirmation_request"
    )
    assert request.status == "pending_confirmation"
    assert scenario.confirm(request, who, confirmation_request_id=latest.id).status == "scheduled"


def test_a_confirmation_request_has_its_resolution(scenario: ConfirmationScenario) -> None:
    ends = {
        "open": lambda request: None,
        "accepted": lambda request: scenario.confirm(request, assigned_consultant(request)),
        "declined": lambda request: scenario.decline(request, assigned_consultant(request)),
        "withdrawn": scenario.cancel,
    }
    for fate, end in ends.items():
        request = scenario.pending()
        latest = latest_confirmation_request(scenario.db, request.id)
        assert latest is not None
        end(request)
        found = confirmation_request(scenario.db, latest.id)
        assert (found and found.resolution) == fate

    request = scenario.pending()
    latest = latest_confirmation_request(scenario.db, request.id)
    assert latest is not None
    scenario.later(days=1, seconds=1)
    service.expire_unanswered(scenario.db, scenario.ctx, request.id)
    assert latest_confirmation_request(scenario.db, request.id) == confirmation_request(
        scenario.db, latest.id
    )
    found = confirmation_request(scenario.db, latest.id)
    assert (found and found.resolution) == "unanswered"


def test_only_its_own_event_is_a_confirmation_request(scenario: ConfirmationScenario) -> None:
    request = scenario.pending()
    submitted = scenario.db.execute(
        select(Event.id).where(Event.consultation_request_id == request.id, Event.type == "request.submitted")
    ).scalar_one()

    assert confirmation_request(scenario.db, submitted) is None
    assert confirmation_request(scenario.db, uuid4()) is None
    assert latest_confirmation_request(scenario.db, uuid4()) is None
