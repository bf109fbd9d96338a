"""A request whose consultant must answer: every way from the first question to an agreement or an end."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest

from booking_tasks.contracts import CancelRequest, ConfirmRequest, DeclineRequest
from tests.end_to_end.scenario import DAY, HOUR, SERVICE, Person, Scenario, summary

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def consultants_in_order(
    scenario: Scenario, request_id: UUID, consultants: list[Person]
) -> tuple[Person, Person]:
    """Who is asked at this moment, and the other one."""
    request = scenario.request(request_id)
    assert request.status == "pending_confirmation"
    first = next(one for one in consultants if one.id == request.assigned_consultant_user_id)
    return first, next(one for one in consultants if one != first)


def kept_free(scenario: Scenario, who: Person, start: datetime) -> bool:
    """Whether exactly this hour of the consultant is held, and nothing else taken."""
    return scenario.facts(who) == [("held", start)]


def test_after_a_decline_another_consultant_gets_the_request_and_accepts(scenario: Scenario) -> None:
    service = scenario.offer(requires_confirmation=True)
    consultants = [scenario.consultant("Sousa"), scenario.consultant("Nair")]
    yuki = scenario.person("Yuki")
    start = scenario.morning + 2 * DAY + 2 * HOUR
    request_id = scenario.submit(yuki, service, start, details="the third chapter")
    first, second = consultants_in_order(scenario, request_id, consultants)
    assert kept_free(scenario, first, start)
    assert scenario.facts(second) == []
    assert scenario.letters(yuki, second) == []
    (question,) = scenario.letters(first)
    assert "the third chapter" in question.text
    assert yuki.name in question.subject

    wrong = scenario.send(
        ConfirmRequest, actor=str(second.id), request_id=request_id, consultant_user_id=second.id
    )
    assert (wrong.result, wrong.code) == ("refused", "not_assigned_consultant")
    declined = scenario.send(
        DeclineRequest,
        actor=str(first.id),
        request_id=request_id,
        consultant_user_id=first.id,
        reason="on a scenario",
    )
    scenario.stage.settle()

    assert declined.result == "done"
    assert consultants_in_order(scenario, request_id, consultants)[0] == second
    assert scenario.facts(first) == []
    assert kept_free(scenario, second, start)
    rejected = {
        one["consultant_user_id"]: one["rejected"] for one in scenario.decisions(request_id)[1].candidates
    }
    assert (rejected[str(first.id)], rejected[str(second.id)]) == ("excluded", None)

    confirmed = scenario.send(
        ConfirmRequest, actor=str(second.id), request_id=request_id, consultant_user_id=second.id
    )
    scenario.stage.settle()

    assert (confirmed.result, confirmed.status) == ("done", "scheduled")
    session = scenario.session(request_id)
    assert (session.consultant_user_id, session.scheduled_start_time) == (second.id, start)
    assert scenario.facts(second) == [("booked", start)]
    assert [(one.method, one.sequence) for one in scenario.letters(first)] == [("REQUEST", 0), ("CANCEL", 1)]
    received = scenario.letters(second)
    assert [(one.method, one.sequence) for one in received] == [("REQUEST", 0), ("REQUEST", 1)]
    assert len({one.uid for one in received}) == 1
    assert [one.method for one in scenario.letters(yuki)] == ["REQUEST"]
    history = scenario.history(request_id)
    assert summary(history) == [
        ("request.submitted", str(yuki.id), None),
        ("request.confirmation_requested", SERVICE, None),
        ("request.declined", str(first.id), "on a scenario"),
        ("request.confirmation_requested", SERVICE, None),
        ("session.scheduled", str(second.id), None),
        ("session.meeting_ready", SERVICE, None),
    ]
    assert [event.consultant_user_id for event in history[1:5]] == [first.id, first.id, second.id, second.id]
    until = scenario.morning + DAY
    assert history[1].after == {
        "status": "pending_confirmation",
        "start": start.isoformat(),
        "end": (start + HOUR).isoformat(),
        "until": until.isoformat(),
    }
    assert history[2].before == {"status": "pending_confirmation"}
    assert history[2].after == {"status": "pending_assignment"}
    assert history[4].before == {"request_status": "pending_confirmation"}


def test_a_request_that_nobody_answers_ends_with_one_notice_at_the_deadline(scenario: Scenario) -> None:
    service = scenario.offer(requires_confirmation=True)
    consultants = [scenario.consultant("Sousa"), scenario.consultant("Nair")]
    tom = scenario.person("Tom")
    start = scenario.morning + DAY + 2 * HOUR
    request_id = scenario.submit(tom, service, start, start + 3 * DAY)
    first, second = consultants_in_order(scenario, request_id, consultants)
    assert kept_free(scenario, first, start)

    scenario.stage.advance(scenario.morning + DAY)  # a day is the time to answer

    assert consultants_in_order(scenario, request_id, consultants) == (second, first)
    assert scenario.facts(first) == []
    assert kept_free(scenario, second, start)
    late = scenario.send(
        ConfirmRequest, actor=str(first.id), request_id=request_id, consultant_user_id=first.id
    )
    assert (late.result, late.code) == ("refused", "not_assigned_consultant")

    scenario.stage.advance(start)  # a consultation cannot be held free beyond its own start

    assert scenario.request(request_id).status == "pending_assignment"
    assert scenario.facts(second) == []
    assert scenario.letters(tom) == []

    scenario.stage.advance(scenario.morning + 2 * DAY)  # the deadline of every request

    request = scenario.request(request_id)
    assert (request.status, request.assigned_consultant_user_id) == ("rejected", None)
    scenario.stage.advance(scenario.morning + 3 * DAY)
    (refusal,) = scenario.letters(tom)
    assert refusal.subject == f"No consultation found: Tutoring {scenario.mark}"
    assert [len(scenario.letters(one)) for one in consultants] == [2, 2]  # asked, and not any more
    history = scenario.history(request_id)
    assert summary(history) == [
        ("request.submitted", str(tom.id), None),
        ("request.confirmation_requested", SERVICE, None),
        ("request.unanswered", SERVICE, "the consultant did not answer in time"),
        ("request.confirmation_requested", SERVICE, None),
        ("request.unanswered", SERVICE, "the consultant did not answer in time"),
        ("request.rejected", SERVICE, request.status_reason),
    ]
    assert [event.occurred_at - scenario.morning for event in history] == [
        0 * DAY,
        0 * DAY,
        DAY,
        DAY,
        DAY + 2 * HOUR,
        2 * DAY,
    ]
    assert (history[5].before, history[5].after) == ({"status": "pending_assignment"}, {"status": "rejected"})
    scenario.assert_notified_once(request_id, (tom, *consultants))


def test_a_request_withdrawn_during_confirmation_frees_the_time_and_notifies_the_consultant(
    scenario: Scenario,
) -> None:
    service = scenario.offer(requires_confirmation=True)
    sousa, yuki = scenario.consultant("Sousa"), scenario.person("Yuki")
    start = scenario.morning + 2 * DAY + 2 * HOUR
    assert scenario.free(service, start, sousa)
    request_id = scenario.submit(yuki, service, start)
    assert kept_free(scenario, sousa, start)
    assert not scenario.free(service, start, sousa)

    outcome = scenario.send(
        CancelRequest, actor=str(yuki.id), request_id=request_id, reason="found another way"
    )
    scenario.stage.settle()

    assert (outcome.result, outcome.status) == ("done", "cancelled")
    assert scenario.facts(sousa) == []
    assert scenario.free(service, start, sousa)
    late = scenario.send(
        ConfirmRequest, actor=str(sousa.id), request_id=request_id, consultant_user_id=sousa.id
    )
    assert (late.result, late.code) == ("refused", "not_waiting")
    scenario.stage.advance(start)
    requested, withdrawn = scenario.letters(sousa)
    assert requested.subject.startswith("Please answer")
    assert withdrawn.subject.startswith("No answer needed any more")
    assert scenario.letters(yuki) == []
    history = scenario.history(request_id)
    assert summary(history) == [
        ("request.submitted", str(yuki.id), None),
        ("request.confirmation_requested", SERVICE, None),
        ("request.cancelled", str(yuki.id), "found another way"),
    ]
    assert history[2].before == {"status": "pending_confirmation"}
    assert history[2].after == {"status": "cancelled"}
    scenario.assert_notified_once(request_id, (sousa, yuki))


def test_where_the_service_type_books_from_the_waiting_list_freed_time_is_booked_without_an_offer(
    scenario: Scenario,
) -> None:
    service = scenario.offer(waiting_list="book")
    nair, ben, chloe = scenario.consultant("Nair"), scenario.person("Ben"), scenario.person("Chloe")
    start = scenario.morning + 2 * DAY
    rival = scenario.submit(ben, service, start)
    request_id = scenario.submit(chloe, service, start)
    assert scenario.request(request_id).status == "pending_assignment"
    assert scenario.decisions(request_id)[0].reason == "no_free_time"

    session = scenario.session(rival)
    scenario.cancel_session(session, nair)
    scenario.until_scheduled(request_id)

    assert scenario.facts(nair) == [("booked", start)]
    assert summary(scenario.history(request_id)) == [
        ("request.submitted", str(chloe.id), None),
        ("request.waiting", SERVICE, "no_free_time"),
        ("session.scheduled", SERVICE, None),
        ("session.meeting_ready", SERVICE, None),
    ]
    assert [one.method for one in scenario.letters(chloe)] == ["REQUEST"]
