"""Who waits is offered what becomes free, by mail; without an answer it goes to the next."""

from __future__ import annotations

from uuid import UUID

import pytest

from booking_tasks.contracts import AcceptOffer, DeclineOffer, DeclineRequest
from booking_tasks.mail.dates import instant_text, span_text
from tests.end_to_end.scenario import DAY, HOUR, MINUTE, SERVICE, Scenario, summary

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def token(scenario: Scenario, request_id: UUID) -> UUID:
    """The token that other services heard with the latest offer."""
    offers = [one for one in scenario.published(request_id) if one["type"] == "booking.request.offered.v1"]
    return UUID(offers[-1]["data"]["after"]["hold_token"])


def test_what_one_who_waits_does_not_answer_for_goes_to_the_next_who_takes_it(scenario: Scenario) -> None:
    service, nair = scenario.offer(), scenario.consultant("Nair")
    ben, chloe = scenario.person("Ben"), scenario.person("Chloe", "Asia/Tokyo", "de")
    dora = scenario.person("Dora")
    start = scenario.morning + 2 * DAY
    served = scenario.submit(ben, service, start)
    first, second = scenario.submit(chloe, service, start), scenario.submit(dora, service, start)
    scenario.cancel_session(scenario.session(served), nair)

    assert scenario.facts(nair) == [("held", start)]
    assert (scenario.request(first).status, scenario.request(second).status) == ("pending_assignment",) * 2
    (mail,) = scenario.letters(chloe)
    assert mail.subject == f"Eine Zeit ist frei geworden: Tutoring {scenario.mark} mit {nair.name}"
    assert f"Wann: {span_text(start, start + HOUR, 'Asia/Tokyo', 'de')}" in mail.text
    until = instant_text(scenario.morning + 30 * MINUTE, "Asia/Tokyo", "de")
    assert f"Bitte antworten bis: {until}" in mail.text
    assert "17:30 Uhr, Asia/Tokyo (JST)" in until
    assert scenario.letters(dora) == []

    scenario.stage.advance(scenario.morning + 30 * MINUTE)

    (mail,) = scenario.letters(dora)
    assert mail.subject == f"A time has become free: Tutoring {scenario.mark} with {nair.name}"
    late = scenario.send(
        AcceptOffer, actor=str(chloe.id), request_id=first, hold_token=token(scenario, first)
    )
    assert (late.result, late.code) == ("refused", "offer_expired")
    taken = scenario.send(
        AcceptOffer, actor=str(dora.id), request_id=second, hold_token=token(scenario, second)
    )
    scenario.stage.settle()

    assert (taken.result, taken.status, taken.start) == ("done", "scheduled", start)
    assert scenario.facts(nair) == [("booked", start)]
    assert [one.method for one in scenario.letters(dora)] == [None, "REQUEST"]
    assert summary(scenario.history(second)) == [
        ("request.submitted", str(dora.id), None),
        ("request.waiting", SERVICE, "no_free_time"),
        ("request.offered", SERVICE, None),
        ("session.scheduled", str(dora.id), None),
        ("session.meeting_ready", SERVICE, None),
    ]

    scenario.stage.advance(scenario.morning + 2 * DAY)  # the deadline of the one who did not answer

    assert scenario.request(first).status == "rejected"
    assert [one.subject.partition(":")[0] for one in scenario.letters(chloe)] == [
        "Eine Zeit ist frei geworden",
        "Keine Beratung gefunden",
    ]
    assert summary(scenario.history(first))[2:] == [
        ("request.offered", SERVICE, None),
        ("request.offer_lapsed", SERVICE, None),
        ("request.rejected", SERVICE, "offer_lapsed"),
    ]
    assert "die Ihnen angeboten wurden, wurden nicht angenommen" in scenario.letters(chloe)[1].text
    scenario.assert_notified_once(first, (chloe,))
    scenario.stage.advance(start + 2 * HOUR)
    scenario.assert_notified_once(second, (dora, nair))


def test_what_a_consultant_declines_is_offered_and_a_declined_offer_is_no_cancellation(
    scenario: Scenario,
) -> None:
    service, nair = scenario.offer(requires_confirmation=True), scenario.consultant("Nair")
    ben, chloe = scenario.person("Ben"), scenario.person("Chloe")
    start = scenario.morning + 2 * DAY
    served = scenario.submit(ben, service, start, start + 2 * HOUR)
    waits = scenario.submit(chloe, service, start, start + HOUR)
    assert scenario.request(waits).status_reason == "no_free_time"
    scenario.send(DeclineRequest, actor=str(nair.id), request_id=served, consultant_user_id=nair.id)
    scenario.stage.settle()

    declined = scenario.send(
        DeclineOffer,
        actor=str(chloe.id),
        request_id=waits,
        hold_token=token(scenario, waits),
        reason="too early",
    )
    scenario.stage.settle()

    assert (declined.result, declined.status) == ("done", "pending_assignment")
    assert scenario.facts(nair) == []
    assert [one.subject.partition(":")[0] for one in scenario.letters(chloe)] == ["A time has become free"]
    history = scenario.history(waits)
    assert summary(history)[2:] == [
        ("request.offered", SERVICE, None),
        ("request.offer_declined", str(chloe.id), "too early"),
    ]
    assert history[2].consultant_user_id == nair.id
    scenario.stage.advance(scenario.morning + 3 * HOUR)
    assert len(scenario.letters(chloe)) == 1  # never asked about the same start again
    scenario.assert_notified_once(waits, (chloe, nair))
