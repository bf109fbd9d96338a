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

from booking_tasks.ops.local_stack import LocalStack
from booking_tasks.ops.mail_sink import calendar_of
from booking_tasks.ops.servers import wait_until
from tests.end_to_end.scenario import DAY, HOUR, Person, Scenario, summary
from tests.replies.mails import AUTHSERV, mail, through_border

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

LINK = re.compile(r"https?://\S+/answers/\S+")


@pytest.fixture(scope="module")
def web(stage: LocalStack) -> Iterator[str]:
    """The web room beside the workers; its address."""
    address = stage.environment["BOOKING_PUBLIC_URL"]
    process = stage.service.web(int(address.rpartition(":")[2]))
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
def confirmation(scenario: Scenario, web: str) -> tuple[Scenario, list[Person], Person]:
    """Two consultants, one requester, and a kind of consultation whose consultants have an hour to answer."""
    return scenario, [scenario.consultant("Sousa"), scenario.consultant("Nair")], scenario.person("Yuki")


def requested(scenario: Scenario, consultants: list[Person], yuki: Person) -> tuple[Any, Person, Person]:
    """A request of two days ahead: its id, who was asked, who was not."""
    service = scenario.offer(requires_confirmation=True, confirmation_minutes=60)
    request_id = scenario.submit(yuki, service, scenario.morning + 2 * DAY)
    who = scenario.request(request_id).assigned_consultant_user_id
    first, second = sorted(consultants, key=lambda one: one.id != who)
    return request_id, first, second


def link_in(scenario: Scenario, who: Person) -> str:
    """The link in the last mail somebody got."""
    [link] = LINK.findall(scenario.letters(who)[-1].text)
    return str(link)


def calendar_answer(scenario: Scenario, who: Person, partstat: str) -> bytes:
    """What a calendar program sends when its owner presses a button in the last invitation they got."""
    last = [one for one in scenario.stage.mail.mails() if who.email in str(one["To"])][-1]
    content = calendar_of(last)
    assert content is not None
    calendar = Calendar.from_ical(content)
    calendar["METHOD"] = "REPLY"
    [event] = calendar.walk("VEVENT")
    event["ATTENDEE"].params["PARTSTAT"] = partstat
    assert str(event["ATTENDEE"]) == f"mailto:{who.email}"
    return mail(calendar.to_ical().decode(), sender=who.email, Message_ID=f"<{event['UID']}>")


def pipe(scenario: Scenario, raw: bytes) -> str:
    """Let the mail server hand a mail on; what is said of it."""
    ran = subprocess.run(
        [sys.executable, "-m", "booking_tasks.ops", "reply"],
        input=through_border(raw),
        env=os.environ | scenario.stage.environment | {"BOOKING_REPLY_AUTHSERV": AUTHSERV},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    scenario.stage.settle()
    return ran.stdout.decode().partition(" (")[0]


def entries(scenario: Scenario, who: Person) -> dict[str | None, list[tuple[str | None, int | None]]]:
    """Somebody's calendar: for each entry what came of it, in order."""
    found: dict[str | None, list[tuple[str | None, int | None]]] = {}
    for one in scenario.letters(who):
        if one.method is not None:
            found.setdefault(one.uid, []).append((one.method, one.sequence))
    return found


def is_each_mail_sent_once(scenario: Scenario, *people: Person) -> bool:
    letters = [one.message_id for one in scenario.letters(*people)]
    return len(letters) == len(set(letters)) > 2


def test_a_click_accepts_and_the_question_becomes_the_session(
    confirmation: tuple[Scenario, list[Person], Person],
) -> None:
    scenario, consultants, yuki = confirmation
    request_id, first, second = requested(scenario, consultants, yuki)
    link = link_in(scenario, first)
    page = httpx2.get(link, timeout=20)
    assert (page.status_code, yuki.name in page.text) == (200, True)
    assert scenario.request(request_id).status == "pending_confirmation"

    answer = httpx2.post(link, data={"answer": "accept"}, follow_redirects=True, timeout=20)
    scenario.stage.settle()

    assert "You have accepted" in answer.text
    session = scenario.session(request_id)
    assert (session.consultant_user_id, session.status) == (first.id, "scheduled")
    assert list(entries(scenario, first).values()) == [[("REQUEST", 0), ("REQUEST", 1)]]
    assert entries(scenario, second) == {}
    assert summary(scenario.history(request_id))[1:3] == [
        ("request.confirmation_requested", "the service", None),
        ("session.scheduled", str(first.id), None),
    ]
    assert {event.type: event.entry_point for event in scenario.history(request_id)}[
        "session.scheduled"
    ] == "web"
    assert is_each_mail_sent_once(scenario, yuki, *consultants)


def test_the_calendars_button_declines_and_the_next_one_accepts_by_it(
    confirmation: tuple[Scenario, list[Person], Person],
) -> None:
    scenario, consultants, yuki = confirmation
    request_id, first, second = requested(scenario, consultants, yuki)
    assert pipe(scenario, calendar_answer(scenario, first, "TENTATIVE")) == "refused no_answer"
    no = calendar_answer(scenario, first, "DECLINED")
    assert pipe(scenario, no) == "done"
    assert pipe(scenario, no) == "done"  # the same mail, delivered once more

    assert scenario.request(request_id).assigned_consultant_user_id == second.id
    assert list(entries(scenario, first).values()) == [[("REQUEST", 0)]]  # their calendar knows
    assert pipe(scenario, calendar_answer(scenario, second, "ACCEPTED")) == "done"

    session = scenario.session(request_id)
    assert session.consultant_user_id == second.id
    assert list(entries(scenario, second).values()) == [[("REQUEST", 0), ("REQUEST", 1)]]
    entry_points = {event.type: event.entry_point for event in scenario.history(request_id)}
    assert (entry_points["request.declined"], entry_points["session.scheduled"]) == ("replies", "replies")
    assert is_each_mail_sent_once(scenario, yuki, *consultants)


def test_silence_passes_it_on_and_the_silent_one_finds_nothing_in_their_calendar(
    confirmation: tuple[Scenario, list[Person], Person],
) -> None:
    scenario, consultants, yuki = confirmation
    request_id, first, second = requested(scenario, consultants, yuki)
    late, too_late = link_in(scenario, first), calendar_answer(scenario, first, "ACCEPTED")

    scenario.stage.advance(scenario.morning + HOUR)  # the time to answer

    assert scenario.request(request_id).assigned_consultant_user_id == second.id
    assert list(entries(scenario, first).values()) == [[("REQUEST", 0), ("CANCEL", 1)]]
    assert httpx2.post(late, data={"answer": "accept"}, timeout=20).status_code == 410
    assert pipe(scenario, too_late) == "refused stale"
    assert scenario.request(request_id).status == "pending_confirmation"

    httpx2.post(link_in(scenario, second), data={"answer": "accept"}, timeout=20)
    scenario.stage.settle()
    assert scenario.session(request_id).consultant_user_id == second.id
    assert len(scenario.letters(first)) == 2  # asked, and once that no answer is needed
    assert is_each_mail_sent_once(scenario, yuki, *consultants)
