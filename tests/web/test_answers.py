"""Answers to confirmation requests by link, over HTTP: a GET changes nothing, and an answer counts once."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from booking_tasks.contracts import CancelRequest
from booking_tasks.intake import service as intake
from booking_tasks.kit import clock, database
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.kit.signed_links import answer_message_id
from booking_tasks.models import ConsultationRequest, Event, InboxMessage, ScheduledSession
from booking_tasks.ops.servers import free_port
from booking_tasks.unit_of_work import unit_of_work
from booking_tasks.web import pages
from tests.builders import NOW
from tests.web.conftest import ConfirmingService, Web


class Page(HTMLParser):
    """What a reader or a screen reader finds: headings, buttons, attributes of every tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.setdefault(self._open[-1], []).append(data.strip())


def counts() -> tuple[int, int]:
    with transaction() as db:
        return (
            len(db.execute(select(Event.id)).all()),
            len(db.execute(select(InboxMessage.message_id)).all()),
        )


def heading(answer: Any) -> str:
    return Page(answer.text).texts["h1"][0]


def test_the_page_shows_the_confirmation_request_in_the_readers_language_and_zone(
    web: Web, confirming: ConfirmingService
) -> None:
    request_id = confirming.request_confirmation(details="Eigenvalues <script>alert(1)</script>\nand more")
    answer = web.get(confirming.link(request_id))
    page = Page(answer.text)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert page.tags[0] == ("html", {"lang": "de"})
    assert page.texts["h1"] == page.texts["title"] == ["Können Sie diese Beratung übernehmen?"]
    assert page.texts["dt"] == ["Was", "Mit", "Wann", "Bitte antworten bis", "Worum es geht"]
    shown_values = page.texts["dd"]
    assert shown_values[:2] == ["Algebra", "Mira Lang"]
    assert shown_values[2].startswith("Montag, 1. März 2027, 10:")
    assert shown_values[2].endswith("Uhr, Europe/Vienna (CET)")
    assert shown_values[4] == "Eigenvalues <script>alert(1)</script>\nand more"
    assert page.texts["button"] == ["Annehmen", "Ablehnen"]


def test_the_page_is_whole_in_itself_and_needs_no_script(web: Web, confirming: ConfirmingService) -> None:
    page = Page(web.get(confirming.link(confirming.request_confirmation())).text)

    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "link", "iframe", "a"}
    assert {"main", "h1", "form", "button"} <= tags
    assert not any(name in ("src", "href", "onclick") for _, found in page.tags for name in found)
    buttons = [found for tag, found in page.tags if tag == "button"]
    assert [(one["name"], one["value"]) for one in buttons] == [("answer", "accept"), ("answer", "decline")]
    assert dict(page.tags)["form"] == {"method": "post"}


def test_every_answer_is_kept_by_nobody_and_tells_its_address_to_nobody(
    web: Web, confirming: ConfirmingService
) -> None:
    link = confirming.link(confirming.request_confirmation())
    for answer in (
        web.get(link),
        web.get("/answers/x"),
        web.post(link, answer="decline"),
        web.get("/healthz"),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "server" not in answer.headers


def test_the_policy_allows_just_the_style_that_the_page_has(web: Web, confirming: ConfirmingService) -> None:
    import base64
    import hashlib

    answer = web.get(confirming.link(confirming.request_confirmation()))
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]
    assert style.strip()


def test_looking_changes_nothing_however_often_and_by_whomever(
    web: Web, confirming: ConfirmingService
) -> None:
    request_id = confirming.request_confirmation()
    link, before = confirming.link(request_id), counts()
    for _ in range(3):
        assert web.get(link).status_code == 200
        assert web.client.head(link).status_code == 200

    assert counts() == before
    assert confirming.request(request_id).status == "pending_confirmation"


def test_accepting_books_and_the_page_then_says_so(web: Web, confirming: ConfirmingService) -> None:
    request_id = confirming.request_confirmation()
    link, who = confirming.link(request_id), str(confirming.request(request_id).assigned_consultant_user_id)
    answer = web.post(link, answer="accept")

    assert (answer.status_code, answer.headers["location"]) == (303, link.rpartition("/")[2])
    assert confirming.request(request_id).status == "scheduled"
    assert ("session.scheduled", who, "web") in confirming.history(request_id)
    after = web.get(link)
    assert heading(after) == "Sie haben angenommen"
    assert "button" not in Page(after.text).texts


def test_declining_asks_somebody_else_and_the_link_then_says_so(
    web: Web, confirming: ConfirmingService
) -> None:
    request_id = confirming.request_confirmation()
    link, who = confirming.link(request_id), confirming.request(request_id).assigned_consultant_user_id
    web.post(link, answer="decline")

    request = confirming.request(request_id)
    assert (request.status, request.excluded_consultant_user_ids) == ("pending_assignment", [who])
    assert heading(web.get(link)) == "Sie haben abgelehnt"


def test_a_second_click_gets_the_stored_answer_and_the_other_button_changes_nothing(
    web: Web, confirming: ConfirmingService
) -> None:
    request_id = confirming.request_confirmation()
    link = confirming.link(request_id)
    for _ in range(2):
        web.post(link, answer="accept")
    before = counts()
    web.post(link, answer="accept")
    assert counts() == before

    web.post(link, answer="decline")
    assert confirming.request(request_id).status == "scheduled"
    assert heading(web.get(link)) == "Sie haben angenommen"
    with transaction() as db:
        row = db.get_one(InboxMessage, answer_message_id(link.rpartition("/")[2], "decline"))
        assert (row.entry_point, row.state) == ("web", "done")
        assert row.outcome is not None
        assert row.outcome["code"] == "not_waiting"


def test_the_page_of_a_withdrawn_request_says_so(web: Web, confirming: ConfirmingService) -> None:
    request_id = confirming.request_confirmation()
    link = confirming.link(request_id)
    with unit_of_work("mira", "booking") as (db, ctx):
        intake.cancel(db, ctx, CancelRequest(message_id=uuid4(), actor="mira", request_id=request_id))

    assert heading(web.get(link)) == "Es wird keine Antwort mehr gebraucht"
    web.post(link, answer="accept")
    assert confirming.request(request_id).status == "cancelled"


def test_a_link_is_over_with_its_time_before_any_sweep_came(web: Web, confirming: ConfirmingService) -> None:
    request_id = confirming.request_confirmation()
    link = confirming.link(request_id)
    longer = confirming.link(request_id, until=NOW + timedelta(days=30))
    with transaction() as db:
        clock.step(db, NOW + timedelta(days=2))

    answer = web.get(link)
    assert (answer.status_code, heading(answer)) == (410, "The time to answer is over")
    assert "Mira" not in answer.text
    assert web.post(link, answer="accept").status_code == 410
    assert heading(web.get(longer)) == "Die Zeit zum Antworten ist vorbei"
    web.post(longer, answer="accept")
    assert confirming.request(request_id).status == "pending_confirmation"


def test_a_link_to_another_question_of_the_same_request_answers_nothing(
    web: Web, confirming: ConfirmingService
) -> None:
    request_id = confirming.request_confirmation()
    old = confirming.link(request_id)
    first = confirming.request(request_id).assigned_consultant_user_id
    web.post(old, answer="decline")
    with unit_of_work("test", "booking") as (db, ctx):
        # Somebody lifts the exclusion, and the same consultant is asked once more.
        db.get_one(ConsultationRequest, request_id).excluded_consultant_user_ids = [
            one for one in confirming.consultants if one != first
        ]
        db.flush()
        from booking_tasks.assignment.service import assign

        assert assign(db, ctx, request_id).consultant_user_id == first

    web.post(old, answer="accept")
    assert confirming.request(request_id).status == "pending_confirmation"
    assert heading(web.get(old)) == "Sie haben abgelehnt"
    web.post(confirming.link(request_id), answer="accept")
    assert confirming.request(request_id).status == "scheduled"


@pytest.mark.parametrize("changed", ["person", "subject", "character", "length", "nonsense"])
def test_a_link_of_another_deployment_does_not_work(
    web: Web, confirming: ConfirmingService, changed: str
) -> None:
    request_id = confirming.request_confirmation()
    link = confirming.link(request_id)
    others = {
        "person": confirming.link(request_id, person=uuid4()),
        "subject": confirming.link(request_id, subject=uuid4()),
        "character": link[:-20] + ("A" if link[-20] != "A" else "B") + link[-19:],
        "length": link[:-1],
        "nonsense": "/answers/" + "%00" * 20,
    }
    answer = web.get(others[changed])

    assert (answer.status_code, heading(answer)) == (404, "This link does not work")
    assert "Mira" not in answer.text
    assert web.post(others[changed], answer="accept").status_code == 404
    assert confirming.request(request_id).status == "pending_confirmation"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"answer=perhaps", 400),
        (b"", 400),
        (b"answer=accept&answer=decline", 400),
        (b"\xff\x00", 400),
        (b"answer=accept&" + b"x" * 10_000, 413),
    ],
)
def test_what_no_button_of_ours_sends_is_refused(
    web: Web, confirming: ConfirmingService, body: bytes, status: int
) -> None:
    request_id = confirming.request_confirmation()
    answer = web.client.post(confirming.link(request_id), content=body)

    assert answer.status_code == status
    assert confirming.request(request_id).status == "pending_confirmation"


def test_other_paths_and_methods_are_turned_away(web: Web, confirming: ConfirmingService) -> None:
    assert web.get("/").status_code == 404
    assert web.client.delete(confirming.link(confirming.request_confirmation())).status_code == 405


def test_a_database_that_is_away_is_reported_and_logged_without_the_address(
    web: Web,
    confirming: ConfirmingService,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    link = confirming.link(confirming.request_confirmation())
    assert (web.get("/healthz").status_code, web.get("/healthz").text) == (200, "ok\n")
    assert (web.get("/readyz").status_code, web.get("/readyz").text) == (200, "ready\n")

    def away() -> None:
        raise OSError("no route to the database")

    with monkeypatch.context() as outage:
        outage.setattr(database, "engine", away)
        answer = web.get(link)
        assert (answer.status_code, heading(answer)) == (503, "Please try again in a moment")
        assert web.get("/healthz").status_code == 503
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    settings.cache_clear()
    ready = web.get("/readyz")
    assert (ready.status_code, ready.text) == (503, "not ready: broker\n")
    printed = capfd.readouterr()
    assert link.rpartition("/")[2] not in printed.out + printed.err


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("what", ["unknown", "expired", "later"])
def test_every_plain_page_is_well_formed_and_says_its_language(what: Any, language: Any) -> None:
    page = Page(pages.plain_page(what, language))

    assert page.tags[0] == ("html", {"lang": language})
    assert len(page.texts["h1"]) == len(page.texts["p"]) == 1


@pytest.mark.parametrize("resolution", ["open", "accepted", "declined", "unanswered", "withdrawn"])
def test_both_languages_show_every_resolution(
    web: Web, confirming: ConfirmingService, resolution: Any
) -> None:
    from dataclasses import replace

    from booking_tasks.kit.settings import settings
    from booking_tasks.kit.signed_links import Grant
    from booking_tasks.mail.handler import sender_of
    from booking_tasks.web.service import confirmation_view

    request_id = confirming.request_confirmation()
    with unit_of_work("test", "web") as (db, ctx):
        event = db.execute(select(Event).where(Event.type == "request.confirmation_requested")).scalar_one()
        assert event.consultant_user_id is not None
        shown = confirmation_view(
            db, ctx, sender_of(settings()), Grant("answers", event.id, event.consultant_user_id, NOW)
        )
    assert shown is not None
    assert shown.confirmation.request_id == request_id
    found = set()
    for language in ("en", "de"):
        page = Page(
            pages.confirmation_page(
                replace(shown, resolution=resolution, reader=replace(shown.reader, language=language))
            )
        )
        assert ("button" in page.texts) == (resolution == "open")
        found.add(page.texts["h1"][0])
    assert len(found) == 2


def test_exactly_one_of_many_clicks_at_once_wins(web: Web, confirming: ConfirmingService) -> None:
    from concurrent.futures import ThreadPoolExecutor

    request_id = confirming.request_confirmation()
    link = confirming.link(request_id)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda shown_values: web.post(link, answer=shown_values), ["accept", "decline"] * 4)
        )

    assert {one.status_code for one in answers} == {303}
    status = confirming.request(request_id).status
    assert status in {"scheduled", "pending_assignment"}
    with transaction() as db:
        sessions = db.execute(select(ScheduledSession.id)).all()
    assert len(sessions) == (1 if status == "scheduled" else 0)
    shown = heading(web.get(link))
    assert shown == ("Sie haben angenommen" if status == "scheduled" else "Sie haben abgelehnt")
    assert re.match(r"\w+ haben", shown)
