"""A consultant who is asked answers as people do: a click, the calendar's button, or not at all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from icalendar import Calendar

from booking_tasks.ops.mail_sink import calendar_of
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.stage import Stage
from tests.journeys.world import DAY, HOUR, Journey, Person, told
from tests.replies.mails import mail

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

LINK = re.compile(r"https?://\S+/answers/\S+")


@pytest.fixture(scope="module")
def web(stage: Stage) -> Iterator[str]:
    """The web room beside the workers; its address."""
    address = stage.environment["BOOKING_PUBLIC_URL"]
    process = stage.stack.web(int(address.rpartition(":")[2]))
    wait_until(lambda: _well(address), "the web room", seconds=60)
    yield address
    log = process.log.read_text()
    assert "/answers/" not in log
    assert "Traceback" not in log


def _well(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/healthz", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.fixture
def office(journey: Journey, web: str) -> tuple[Journey, list[Person], Person]:
    """Two consultants, one requester, and a kind of consultation whose consultants have an hour to answer."""
    return journey, [journey.consultant("Sousa"), journey.consultant("Nair")], journey.person("Yuki")


def asked(journey: Journey, consultants: list[Person], yuki: Person) -> tuple[Any, Person, Person]:
    """A request of two days ahead: its id, who was asked, who was not."""
    service = journey.offer(requires_confirmation=True, confirmation_minutes=60)
    request_id = journey.submit(yuki, service, journey.morning + 2 * DAY)
    who = journey.request(request_id).assigned_consultant_user_id
    first, second = sorted(consultants, key=lambda one: one.id != who)
    return request_id, first, second


def link_in(journey: Journey, who: Person) -> str:
    """The link in the last mail somebody got."""
    [link] = LINK.findall(journey.letters(who)[-1].text)
    return str(link)


def calendar_answer(journey: Journey, who: Person, partstat: str) -> bytes:
    """What a calendar program sends when its owner presses a button in the last invitation they got."""
    last = [one for one in journey.stage.mail.mails() if who.email in str(one["To"])][-1]
    content = calendar_of(last)
    assert content is not None
    calendar = Calendar.from_ical(content)
    calendar["METHOD"] = "REPLY"
    [event] = calendar.walk("VEVENT")
    event["ATTENDEE"].params["PARTSTAT"] = partstat
    assert str(event["ATTENDEE"]) == f"mailto:{who.email}"
    return mail(calendar.to_ical().decode(), sender=who.email, Message_ID=f"<{event['UID']}>")


def pipe(journey: Journey, raw: bytes) -> str:
    """Let the mail server hand a mail on; what is said of it."""
    ran = subprocess.run(
        [sys.executable, "-m", "booking_tasks.ops", "reply"],
        input=raw,
        env=os.environ | journey.stage.environment,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    journey.stage.settle()
    return ran.stdout.decode().partition(" (")[0]


def entries(journey: Journey, who: Person) -> dict[str | None, list[tuple[str | None, int | None]]]:
    """Somebody's calendar: for each entry what came of it, in order."""
    found: dict[str | None, list[tuple[str | None, int | None]]] = {}
    for one in journey.letters(who):
        if one.method is not None:
            found.setdefault(one.uid, []).append((one.method, one.sequence))
    return found


def no_letter_twice(journey: Journey, *people: Person) -> bool:
    letters = [one.message_id for one in journey.letters(*people)]
    return len(letters) == len(set(letters)) > 2


def test_a_click_accepts_and_the_question_becomes_the_session(
    office: tuple[Journey, list[Person], Person],
) -> None:
    journey, consultants, yuki = office
    request_id, first, second = asked(journey, consultants, yuki)
    link = link_in(journey, first)
    page = httpx2.get(link, timeout=20)
    assert (page.status_code, yuki.name in page.text) == (200, True)
    assert journey.request(request_id).status == "pending_confirmation"

    answer = httpx2.post(link, data={"answer": "accept"}, follow_redirects=True, timeout=20)
    journey.stage.settle()

    assert "You have accepted" in answer.text
    session = journey.session(request_id)
    assert (session.consultant_user_id, session.status) == (first.id, "scheduled")
    assert list(entries(journey, first).values()) == [[("REQUEST", 0), ("REQUEST", 1)]]
    assert entries(journey, second) == {}
    assert told(journey.history(request_id))[1:3] == [
        ("request.confirmation_requested", "the service", None),
        ("session.scheduled", str(first.id), None),
    ]
    assert {event.type: event.entry_point for event in journey.history(request_id)}[
        "session.scheduled"
    ] == "web"
    assert no_letter_twice(journey, yuki, *consultants)


def test_the_calendars_button_declines_and_the_next_one_accepts_by_it(
    office: tuple[Journey, list[Person], Person],
) -> None:
    journey, consultants, yuki = office
    request_id, first, second = asked(journey, consultants, yuki)
    assert pipe(journey, calendar_answer(journey, first, "TENTATIVE")) == "refused no_answer"
    no = calendar_answer(journey, first, "DECLINED")
    assert pipe(journey, no) == "done"
    assert pipe(journey, no) == "done"  # the same mail, delivered once more

    assert journey.request(request_id).assigned_consultant_user_id == second.id
    assert list(entries(journey, first).values()) == [[("REQUEST", 0)]]  # their calendar knows
    assert pipe(journey, calendar_answer(journey, second, "ACCEPTED")) == "done"

    session = journey.session(request_id)
    assert session.consultant_user_id == second.id
    assert list(entries(journey, second).values()) == [[("REQUEST", 0), ("REQUEST", 1)]]
    doors = {event.type: event.entry_point for event in journey.history(request_id)}
    assert (doors["request.declined"], doors["session.scheduled"]) == ("replies", "replies")
    assert no_letter_twice(journey, yuki, *consultants)


def test_silence_passes_it_on_and_the_silent_one_finds_nothing_in_their_calendar(
    office: tuple[Journey, list[Person], Person],
) -> None:
    journey, consultants, yuki = office
    request_id, first, second = asked(journey, consultants, yuki)
    late, too_late = link_in(journey, first), calendar_answer(journey, first, "ACCEPTED")

    journey.stage.advance(journey.morning + HOUR)  # the time to answer

    assert journey.request(request_id).assigned_consultant_user_id == second.id
    assert list(entries(journey, first).values()) == [[("REQUEST", 0), ("CANCEL", 1)]]
    assert httpx2.post(late, data={"answer": "accept"}, timeout=20).status_code == 410
    assert pipe(journey, too_late) == "refused stale"
    assert journey.request(request_id).status == "pending_confirmation"

    httpx2.post(link_in(journey, second), data={"answer": "accept"}, timeout=20)
    journey.stage.settle()
    assert journey.session(request_id).consultant_user_id == second.id
    assert len(journey.letters(first)) == 2  # asked, and once that no answer is needed
    assert no_letter_twice(journey, yuki, *consultants)
