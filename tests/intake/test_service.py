"""The life of a request until it is scheduled or ended."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from booking_tasks.assignment import service as assignment
from booking_tasks.availability import service as availability
from booking_tasks.intake import service
from booking_tasks.models import AvailabilitySlot, ConsultationRequest, Event, Job, ScheduledSession
from tests.builders import NOW
from tests.intake.confirmation_scenario import TOMORROW, ConfirmationScenario, assigned_consultant


def test_a_request_whose_assignment_is_postponed_is_pending_and_its_job_is_due(
    scenario: ConfirmationScenario,
) -> None:
    outcome = scenario.submit(details="Eigenvalues")
    assert (outcome.result, outcome.status) == ("done", "pending")
    request = scenario.db.get_one(ConsultationRequest, outcome.request_id)
    service.postpone(scenario.db, scenario.ctx, request, "waited too long")
    kinds = (
        scenario.db.execute(select(Job.job_type).where(Job.subject_id == outcome.request_id)).scalars().all()
    )
    assert kinds == ["assign_request"]


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("service_type_id", "unknown_service_type"),
        ("preferred_consultant_user_id", "unknown_consultant"),
        ("replaces_request_id", "unknown_request"),
    ],
)
def test_a_request_that_names_what_does_not_exist_is_refused_by_field(
    scenario: ConfirmationScenario, field: str, code: str
) -> None:
    outcome = scenario.submit(**{field: uuid4()})
    assert (outcome.result, outcome.code, outcome.errors[0].field) == ("refused", code, field)
    assert scenario.db.execute(select(ConsultationRequest)).first() is None


def test_a_window_in_the_past_and_a_used_id_are_refused(scenario: ConfirmationScenario) -> None:
    over = scenario.submit(preferred_start=NOW - timedelta(hours=2), preferred_end=NOW - timedelta(hours=1))
    assert over.code == "window_over"
    first = scenario.submit()
    assert scenario.submit(request_id=first.request_id).code == "request_exists"


def test_a_new_request_may_name_the_one_it_replaces(scenario: ConfirmationScenario) -> None:
    old = scenario.submit()
    new = scenario.submit(replaces_request_id=old.request_id)
    assert scenario.db.get_one(ConsultationRequest, new.request_id).replaces_request_id == old.request_id


def test_a_confirmed_hold_becomes_the_booking_in_the_same_place(scenario: ConfirmationScenario) -> None:
    request = scenario.pending()
    held = availability.held_slot(scenario.db, request.id)
    assert held is not None
    outcome = scenario.confirm(request, assigned_consultant(request))
    assert (outcome.result, outcome.status) == ("done", "scheduled")
    facts = scenario.db.execute(
        select(AvailabilitySlot).where(AvailabilitySlot.consultation_request_id == request.id)
    ).scalars()
    assert [(one.status, one.start_time, one.id != held.id) for one in facts] == [
        ("booked", held.start_time, True)
    ]
    session = scenario.db.get_one(ScheduledSession, request.scheduled_session_id)
    assert session.consultation_request_id == request.id
    assert scenario.confirm(request, assigned_consultant(request)).result == "already_done"


def test_only_the_assigned_consultant_may_answer(scenario: ConfirmationScenario) -> None:
    request = scenario.pending()
    [other] = set(scenario.consultants) - {assigned_consultant(request)}
    assert scenario.confirm(request, other).code == "not_assigned_consultant"
    assert scenario.decline(request, other).code == "not_assigned_consultant"
    assert request.status == "pending_confirmation"


def test_a_confirmation_after_the_hold_is_over_is_refused(scenario: ConfirmationScenario) -> None:
    request = scenario.pending()
    scenario.later(hours=25)
    assert scenario.confirm(request, assigned_consultant(request)).code == "hold_expired"
    assert scenario.db.execute(select(ScheduledSession)).first() is None


def test_a_decline_frees_the_hold_and_another_consultant_gets_the_request(
    scenario: ConfirmationScenario,
) -> None:
    request = scenario.pending()
    first = assigned_consultant(request)
    assert scenario.decline(request, first).status == "pending_assignment"
    assert availability.held_slot(scenario.db, request.id) is None
    assert assignment.assign(scenario.db, scenario.ctx, request.id).result == "confirmation_requested"
    second = assigned_consultant(request)
    assert {first, second} == set(scenario.consultants)
    assert scenario.notices(request) == [
        ("confirmation_requested", first),
        ("confirmation_declined", first),
        ("confirmation_requested", second),
    ]


def test_silence_passes_the_request_on_and_the_silent_one_hears_of_it(scenario: ConfirmationScenario) -> None:
    request = scenario.pending()
    first = assigned_consultant(request)
    assert service.unanswered_requests(scenario.db, scenario.ctx) == []
    assert not service.expire_unanswered(scenario.db, scenario.ctx, request.id)
    scenario.later(hours=24, seconds=1)
    assert service.unanswered_requests(scenario.db, scenario.ctx) == [request.id]
    assert service.expire_unanswered(scenario.db, scenario.ctx, request.id)
    assert not service.expire_unanswered(scenario.db, scenario.ctx, request.id)
    assert request.excluded_consultant_user_ids == [first]
    assert ("confirmation_withdrawn", first) in scenario.notices(request)


def test_after_the_last_candidate_the_request_waits_and_is_rejected_at_its_deadline(
    scenario: ConfirmationScenario,
) -> None:
    request = scenario.pending(preferred_end=TOMORROW + timedelta(hours=5))
    scenario.decline(request, assigned_consultant(request))
    assignment.assign(scenario.db, scenario.ctx, request.id)
    scenario.decline(request, assigned_consultant(request))
    assert assignment.assign(scenario.db, scenario.ctx, request.id).reason == "all_declined"
    assert service.overdue_requests(scenario.db, scenario.ctx) == []
    assert not service.give_up(scenario.db, scenario.ctx, request.id)  # as if it had been listed before
    scenario.later(days=2)
    assert service.overdue_requests(scenario.db, scenario.ctx) == [request.id]
    assert service.give_up(scenario.db, scenario.ctx, request.id)
    assert not service.give_up(scenario.db, scenario.ctx, request.id)
    assert (request.status, request.status_reason) == ("rejected", "all_declined")
    assert scenario.notices(request).count(("request_rejected", request.requester_user_id)) == 1
    assert scenario.history(request) == [
        "request.submitted",
        "request.confirmation_requested",
        "request.declined",
        "request.confirmation_requested",
        "request.declined",
        "request.rejected",
    ]


def test_a_withdrawn_request_frees_its_hold_and_notifies_its_consultant(
    scenario: ConfirmationScenario,
) -> None:
    request = scenario.pending()
    who = assigned_consultant(request)
    assert scenario.cancel(request).status == "cancelled"
    assert availability.held_slot(scenario.db, request.id) is None
    assert ("confirmation_withdrawn", who) in scenario.notices(request)
    assert scenario.cancel(request).result == "already_done"
    assert scenario.confirm(request, who).code == "not_waiting"


def test_a_scheduled_request_is_not_withdrawn_but_its_session_cancelled(
    scenario: ConfirmationScenario,
) -> None:
    request = scenario.pending()
    scenario.confirm(request, assigned_consultant(request))
    assert scenario.cancel(request).code == "already_scheduled"


def test_an_unknown_request_is_refused(scenario: ConfirmationScenario) -> None:
    ghost = ConsultationRequest(id=uuid4())
    who = uuid4()
    answers = (scenario.confirm(ghost, who), scenario.decline(ghost, who), scenario.cancel(ghost))
    assert {one.code for one in answers} == {"unknown_request"}


def test_a_consultants_text_does_not_become_the_requests_reason(scenario: ConfirmationScenario) -> None:
    request = scenario.pending()
    scenario.decline(request, assigned_consultant(request))
    assert request.status_reason == "declined"
    scenario.later(days=3)
    assert service.give_up(scenario.db, scenario.ctx, request.id)
    assert request.status_reason == "declined"
    reasons = scenario.db.scalars(select(Event.reason).where(Event.type == "request.declined")).all()
    assert reasons == ["ill"]
