"""Who waits is offered what becomes free, by mail; without an answer it goes to the next."""

from __future__ import annotations

from uuid import UUID

import pytest

from booking_tasks.contracts import AcceptOffer, DeclineOffer, DeclineRequest
from booking_tasks.mail.dates import spoken_moment, spoken_span
from tests.journeys.world import DAY, HOUR, MINUTE, SERVICE, Journey, told

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def token(journey: Journey, request_id: UUID) -> UUID:
    """The token that other services heard with the latest offer."""
    offers = [one for one in journey.published(request_id) if one["type"] == "booking.request.offered.v1"]
    return UUID(offers[-1]["data"]["after"]["hold_token"])


def test_what_one_who_waits_does_not_answer_for_goes_to_the_next_who_takes_it(journey: Journey) -> None:
    service, nair = journey.offer(), journey.consultant("Nair")
    ben, chloe = journey.person("Ben"), journey.person("Chloe", "Asia/Tokyo", "de")
    dora = journey.person("Dora")
    start = journey.morning + 2 * DAY
    served = journey.submit(ben, service, start)
    first, second = journey.submit(chloe, service, start), journey.submit(dora, service, start)
    journey.cancel_session(journey.session(served), nair)

    assert journey.facts(nair) == [("held", start)]
    assert (journey.request(first).status, journey.request(second).status) == ("pending_assignment",) * 2
    (letter,) = journey.letters(chloe)
    assert letter.subject == f"Eine Zeit ist frei geworden: Tutoring {journey.mark} mit {nair.name}"
    assert f"Wann: {spoken_span(start, start + HOUR, 'Asia/Tokyo', 'de')}" in letter.text
    until = spoken_moment(journey.morning + 30 * MINUTE, "Asia/Tokyo", "de")
    assert f"Bitte antworten bis: {until}" in letter.text
    assert "17:30 Uhr, Asia/Tokyo (JST)" in until
    assert journey.letters(dora) == []

    journey.stage.advance(journey.morning + 30 * MINUTE)

    (letter,) = journey.letters(dora)
    assert letter.subject == f"A time has become free: Tutoring {journey.mark} with {nair.name}"
    late = journey.send(AcceptOffer, actor=str(chloe.id), request_id=first, hold_token=token(journey, first))
    assert (late.result, late.code) == ("refused", "offer_expired")
    taken = journey.send(
        AcceptOffer, actor=str(dora.id), request_id=second, hold_token=token(journey, second)
    )
    journey.stage.settle()

    assert (taken.result, taken.status, taken.start) == ("done", "scheduled", start)
    assert journey.facts(nair) == [("booked", start)]
    assert [one.method for one in journey.letters(dora)] == [None, "REQUEST"]
    assert told(journey.history(second)) == [
        ("request.submitted", str(dora.id), None),
        ("request.waiting", SERVICE, "no_free_time"),
        ("request.offered", SERVICE, None),
        ("session.scheduled", str(dora.id), None),
        ("session.meeting_ready", SERVICE, None),
    ]

    journey.stage.advance(journey.morning + 2 * DAY)  # the deadline of the one who did not answer

    assert journey.request(first).status == "rejected"
    assert [one.subject.partition(":")[0] for one in journey.letters(chloe)] == [
        "Eine Zeit ist frei geworden",
        "Keine Beratung gefunden",
    ]
    assert told(journey.history(first))[2:] == [
        ("request.offered", SERVICE, None),
        ("request.offer_lapsed", SERVICE, None),
        ("request.rejected", SERVICE, "offer_lapsed"),
    ]
    assert "die Ihnen angeboten wurden, wurden nicht angenommen" in journey.letters(chloe)[1].text
    journey.assert_told_once(first, (chloe,))
    journey.stage.advance(start + 2 * HOUR)
    journey.assert_told_once(second, (dora, nair))


def test_what_a_consultant_declines_is_offered_and_a_declined_offer_is_no_cancellation(
    journey: Journey,
) -> None:
    service, nair = journey.offer(requires_confirmation=True), journey.consultant("Nair")
    ben, chloe = journey.person("Ben"), journey.person("Chloe")
    start = journey.morning + 2 * DAY
    served = journey.submit(ben, service, start, start + 2 * HOUR)
    waits = journey.submit(chloe, service, start, start + HOUR)
    assert journey.request(waits).status_reason == "no_free_time"
    journey.send(DeclineRequest, actor=str(nair.id), request_id=served, consultant_user_id=nair.id)
    journey.stage.settle()

    declined = journey.send(
        DeclineOffer,
        actor=str(chloe.id),
        request_id=waits,
        hold_token=token(journey, waits),
        reason="too early",
    )
    journey.stage.settle()

    assert (declined.result, declined.status) == ("done", "pending_assignment")
    assert journey.facts(nair) == []
    assert [one.subject.partition(":")[0] for one in journey.letters(chloe)] == ["A time has become free"]
    history = journey.history(waits)
    assert told(history)[2:] == [
        ("request.offered", SERVICE, None),
        ("request.offer_declined", str(chloe.id), "too early"),
    ]
    assert history[2].consultant_user_id == nair.id
    journey.stage.advance(journey.morning + 3 * HOUR)
    assert len(journey.letters(chloe)) == 1  # never asked about the same start again
    journey.assert_told_once(waits, (chloe, nair))
