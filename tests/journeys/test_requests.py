"""A request whose consultant must answer: every way from the first question to an agreement or an end."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest

from booking_tasks.contracts import CancelRequest, ConfirmRequest, DeclineRequest
from tests.journeys.world import DAY, HOUR, SERVICE, Journey, Person, told

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def asked(journey: Journey, request_id: UUID, consultants: list[Person]) -> tuple[Person, Person]:
    """Who is asked at this moment, and the other one."""
    request = journey.request(request_id)
    assert request.status == "pending_confirmation"
    first = next(one for one in consultants if one.id == request.assigned_consultant_user_id)
    return first, next(one for one in consultants if one != first)


def kept_free(journey: Journey, who: Person, start: datetime) -> bool:
    """Whether exactly this hour of the consultant is held, and nothing else taken."""
    return journey.facts(who) == [("held", start)]


def test_after_a_decline_another_consultant_is_asked_and_accepts(journey: Journey) -> None:
    service = journey.offer(requires_confirmation=True)
    consultants = [journey.consultant("Sousa"), journey.consultant("Nair")]
    yuki = journey.person("Yuki")
    start = journey.morning + 2 * DAY + 2 * HOUR
    request_id = journey.submit(yuki, service, start, details="the third chapter")
    first, second = asked(journey, request_id, consultants)
    assert kept_free(journey, first, start)
    assert journey.facts(second) == []
    assert journey.letters(yuki, second) == []
    (question,) = journey.letters(first)
    assert "the third chapter" in question.text
    assert yuki.name in question.subject

    wrong = journey.send(
        ConfirmRequest, actor=str(second.id), request_id=request_id, consultant_user_id=second.id
    )
    assert (wrong.result, wrong.code) == ("refused", "not_assigned_consultant")
    declined = journey.send(
        DeclineRequest,
        actor=str(first.id),
        request_id=request_id,
        consultant_user_id=first.id,
        reason="on a journey",
    )
    journey.stage.settle()

    assert declined.result == "done"
    assert asked(journey, request_id, consultants)[0] == second
    assert journey.facts(first) == []
    assert kept_free(journey, second, start)
    rejected = {
        one["consultant_user_id"]: one["rejected"] for one in journey.decisions(request_id)[1].candidates
    }
    assert (rejected[str(first.id)], rejected[str(second.id)]) == ("excluded", None)

    confirmed = journey.send(
        ConfirmRequest, actor=str(second.id), request_id=request_id, consultant_user_id=second.id
    )
    journey.stage.settle()

    assert (confirmed.result, confirmed.status) == ("done", "scheduled")
    session = journey.session(request_id)
    assert (session.consultant_user_id, session.scheduled_start_time) == (second.id, start)
    assert journey.facts(second) == [("booked", start)]
    assert [(one.method, one.sequence) for one in journey.letters(first)] == [("REQUEST", 0), ("CANCEL", 1)]
    asked_and_invited = journey.letters(second)
    assert [(one.method, one.sequence) for one in asked_and_invited] == [("REQUEST", 0), ("REQUEST", 1)]
    assert len({one.uid for one in asked_and_invited}) == 1
    assert [one.method for one in journey.letters(yuki)] == ["REQUEST"]
    history = journey.history(request_id)
    assert told(history) == [
        ("request.submitted", str(yuki.id), None),
        ("request.confirmation_requested", SERVICE, None),
        ("request.declined", str(first.id), "on a journey"),
        ("request.confirmation_requested", SERVICE, None),
        ("session.scheduled", str(second.id), None),
        ("session.meeting_ready", SERVICE, None),
    ]
    assert [event.consultant_user_id for event in history[1:5]] == [first.id, first.id, second.id, second.id]
    until = journey.morning + DAY
    assert history[1].after == {
        "status": "pending_confirmation",
        "start": start.isoformat(),
        "end": (start + HOUR).isoformat(),
        "until": until.isoformat(),
    }
    assert history[2].before == {"status": "pending_confirmation"}
    assert history[2].after == {"status": "pending_assignment"}
    assert history[4].before == {"request_status": "pending_confirmation"}


def test_whom_nobody_answers_is_told_once_at_the_deadline(journey: Journey) -> None:
    service = journey.offer(requires_confirmation=True)
    consultants = [journey.consultant("Sousa"), journey.consultant("Nair")]
    tom = journey.person("Tom")
    start = journey.morning + DAY + 2 * HOUR
    request_id = journey.submit(tom, service, start, start + 3 * DAY)
    first, second = asked(journey, request_id, consultants)
    assert kept_free(journey, first, start)

    journey.stage.advance(journey.morning + DAY)  # a day is the time to answer

    assert asked(journey, request_id, consultants) == (second, first)
    assert journey.facts(first) == []
    assert kept_free(journey, second, start)
    late = journey.send(
        ConfirmRequest, actor=str(first.id), request_id=request_id, consultant_user_id=first.id
    )
    assert (late.result, late.code) == ("refused", "not_assigned_consultant")

    journey.stage.advance(start)  # a consultation cannot be held free beyond its own start

    assert journey.request(request_id).status == "pending_assignment"
    assert journey.facts(second) == []
    assert journey.letters(tom) == []

    journey.stage.advance(journey.morning + 2 * DAY)  # the deadline of every request

    request = journey.request(request_id)
    assert (request.status, request.assigned_consultant_user_id) == ("rejected", None)
    journey.stage.advance(journey.morning + 3 * DAY)
    (refusal,) = journey.letters(tom)
    assert refusal.subject == f"No consultation found: Tutoring {journey.mark}"
    assert [len(journey.letters(one)) for one in consultants] == [2, 2]  # asked, and not any more
    history = journey.history(request_id)
    assert told(history) == [
        ("request.submitted", str(tom.id), None),
        ("request.confirmation_requested", SERVICE, None),
        ("request.unanswered", SERVICE, "the consultant did not answer in time"),
        ("request.confirmation_requested", SERVICE, None),
        ("request.unanswered", SERVICE, "the consultant did not answer in time"),
        ("request.rejected", SERVICE, request.status_reason),
    ]
    assert [event.occurred_at - journey.morning for event in history] == [
        0 * DAY,
        0 * DAY,
        DAY,
        DAY,
        DAY + 2 * HOUR,
        2 * DAY,
    ]
    assert (history[5].before, history[5].after) == ({"status": "pending_assignment"}, {"status": "rejected"})
    journey.assert_told_once(request_id, (tom, *consultants))


def test_a_request_withdrawn_while_a_consultant_is_asked_frees_the_time_and_tells_them(
    journey: Journey,
) -> None:
    service = journey.offer(requires_confirmation=True)
    sousa, yuki = journey.consultant("Sousa"), journey.person("Yuki")
    start = journey.morning + 2 * DAY + 2 * HOUR
    assert journey.free(service, start, sousa)
    request_id = journey.submit(yuki, service, start)
    assert kept_free(journey, sousa, start)
    assert not journey.free(service, start, sousa)

    outcome = journey.send(
        CancelRequest, actor=str(yuki.id), request_id=request_id, reason="found another way"
    )
    journey.stage.settle()

    assert (outcome.result, outcome.status) == ("done", "cancelled")
    assert journey.facts(sousa) == []
    assert journey.free(service, start, sousa)
    late = journey.send(
        ConfirmRequest, actor=str(sousa.id), request_id=request_id, consultant_user_id=sousa.id
    )
    assert (late.result, late.code) == ("refused", "not_waiting")
    journey.stage.advance(start)
    wanted, withdrawn = journey.letters(sousa)
    assert wanted.subject.startswith("Please answer")
    assert withdrawn.subject.startswith("No answer needed any more")
    assert journey.letters(yuki) == []
    history = journey.history(request_id)
    assert told(history) == [
        ("request.submitted", str(yuki.id), None),
        ("request.confirmation_requested", SERVICE, None),
        ("request.cancelled", str(yuki.id), "found another way"),
    ]
    assert history[2].before == {"status": "pending_confirmation"}
    assert history[2].after == {"status": "cancelled"}
    journey.assert_told_once(request_id, (sousa, yuki))


def test_where_the_kind_says_so_who_waits_gets_what_becomes_free_without_being_asked(
    journey: Journey,
) -> None:
    service = journey.offer(waiting_list="book")
    nair, ben, chloe = journey.consultant("Nair"), journey.person("Ben"), journey.person("Chloe")
    start = journey.morning + 2 * DAY
    rival = journey.submit(ben, service, start)
    request_id = journey.submit(chloe, service, start)
    assert journey.request(request_id).status == "pending_assignment"
    assert journey.decisions(request_id)[0].reason == "no_free_time"

    session = journey.session(rival)
    journey.cancel_session(session, nair)
    journey.until_scheduled(request_id)

    assert journey.facts(nair) == [("booked", start)]
    assert told(journey.history(request_id)) == [
        ("request.submitted", str(chloe.id), None),
        ("request.waiting", SERVICE, "no_free_time"),
        ("session.scheduled", SERVICE, None),
        ("session.meeting_ready", SERVICE, None),
    ]
    assert [one.method for one in journey.letters(chloe)] == ["REQUEST"]
