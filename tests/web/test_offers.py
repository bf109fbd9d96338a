"""Answers to offers by link, over HTTP: the requester accepts the time or declines it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from booking_tasks.context import Context
from booking_tasks.invites.notices import ANSWERS, OFFERS, compose_notice
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.kit.signed_links import Grant
from booking_tasks.mail.handler import sender_of
from booking_tasks.models import ConsultationRequest, Event, Job, TimeOffer
from tests import builders
from tests.builders import NOW
from tests.invites.test_service import body, read
from tests.sample_jobs import leased_row
from tests.waiting.waiting_scenario import WaitingScenario
from tests.web.conftest import Web
from tests.web.test_answers import Page, counts, heading


@dataclass
class Waiting:
    """A request with an offer, and the path of the link in its letter."""

    request_id: UUID
    requester: UUID
    offer: TimeOffer
    link: str

    def stands(self) -> tuple[str, str]:
        with transaction() as db:
            request = db.get_one(ConsultationRequest, self.request_id)
            return request.status, db.get_one(TimeOffer, self.offer.id).state

    def history(self) -> list[tuple[str, str]]:
        with transaction() as db:
            found = select(Event.type, Event.entry_point).where(
                Event.consultation_request_id == self.request_id
            )
            return [(type_, entry_point) for type_, entry_point in db.execute(found.order_by(Event.position))]


def offered(language: str = "de") -> Waiting:
    with transaction() as db:
        ctx = Context(now=NOW, actor="test", entry_point="booking")
        room = WaitingScenario(db, ctx, name="Algebra")
        request = room.waits()
        for name, who in {"Mira Lang": request.requester_user_id, "Dr Okafor": room.who}.items():
            builders.user(db, user_id=who, name=name, language=language, time_zone="Europe/Vienna")
        room.frees()
        room.offers()
        notice = db.scalars(select(Job).where(Job.job_type == "send_notice")).one()
        text = body(read(compose_notice(db, ctx, sender_of(settings()), leased_row(notice))))
        address = settings().public_url
        link = next(line for line in text.splitlines() if line.startswith(f"{address}/"))
        return Waiting(
            request.id, request.requester_user_id, room.offer(request), link.removeprefix(str(address))
        )


@pytest.mark.parametrize(
    ("language", "asks", "labels", "buttons"),
    [
        (
            "en",
            "Does this time suit you?",
            ["What", "With", "When", "Please answer until"],
            ["Accept", "Decline"],
        ),
        (
            "de",
            "Passt Ihnen diese Zeit?",
            ["Was", "Mit", "Wann", "Bitte antworten bis"],
            ["Annehmen", "Ablehnen"],
        ),
    ],
)
def test_the_link_in_the_mail_shows_the_offer_and_a_get_changes_nothing(
    web: Web, language: str, asks: str, labels: list[str], buttons: list[str]
) -> None:
    waiting = offered(language)
    before = counts()
    for _ in range(2):
        answer = web.get(waiting.link)
        assert answer.status_code == 200
    page = Page(answer.text)
    assert page.texts["h1"] == [asks]
    assert page.texts["dt"] == labels
    assert page.texts["dd"][:2] == ["Algebra", "Dr Okafor"]
    assert "10:00–11:00" in page.texts["dd"][2]
    assert page.texts["button"] == buttons
    assert counts() == before
    assert waiting.stands() == ("pending_assignment", "open")


def test_accepting_books_once_however_often_it_is_pressed(web: Web) -> None:
    waiting = offered()
    for _ in range(2):
        answer = web.post(waiting.link, answer="accept")
        assert (answer.status_code, answer.headers["location"]) == (303, waiting.link.rpartition("/")[2])
    assert waiting.stands() == ("scheduled", "accepted")
    assert waiting.history().count(("session.scheduled", "web")) == 1
    assert heading(web.get(waiting.link)) == "Sie haben angenommen"
    web.post(waiting.link, answer="decline")
    assert waiting.stands() == ("scheduled", "accepted")


def test_declining_leaves_it_to_others_and_the_request_waits_on(web: Web) -> None:
    waiting = offered("en")
    web.post(waiting.link, answer="decline")
    assert waiting.stands() == ("pending_assignment", "declined")
    page = Page(web.get(waiting.link).text)
    assert page.texts["h1"] == ["You have declined"]
    assert page.texts["p"] == [
        "Your request continues to wait for another time. There is nothing more to do."
    ]
    assert "button" not in page.texts


def test_when_its_time_is_over_the_link_says_so_and_does_nothing(web: Web) -> None:
    waiting = offered()
    with transaction() as db:
        clock.step(db, NOW + timedelta(minutes=30))
    assert web.get(waiting.link).status_code == 410
    assert web.post(waiting.link, answer="accept").status_code == 410
    assert waiting.stands() == ("pending_assignment", "open")


@pytest.mark.parametrize(
    ("answer", "reads"), [("accept", "You have accepted"), ("decline", "You have declined")]
)
def test_who_answered_and_opens_the_link_late_reads_what_they_answered(
    web: Web, answer: str, reads: str
) -> None:
    waiting = offered("en")
    web.post(waiting.link, answer=answer)
    stood = waiting.stands()
    with transaction() as db:
        clock.step(db, NOW + timedelta(days=3))
    page = web.get(waiting.link)
    assert (page.status_code, heading(page)) == (200, reads)
    late = web.post(waiting.link, answer="accept")
    assert (late.status_code, heading(late)) == (410, reads)
    assert waiting.stands() == stood


@pytest.mark.parametrize("changes", [{"purpose": ANSWERS}, {"person": UUID(int=7)}, {"subject": UUID(int=7)}])
def test_a_link_for_another_purpose_person_or_offer_opens_nothing(web: Web, changes: dict[str, Any]) -> None:
    waiting = offered()
    links = settings().links
    assert links is not None
    own: dict[str, Any] = {
        "purpose": OFFERS,
        "subject": waiting.offer.id,
        "person": waiting.requester,
        "until": waiting.offer.offered_until,
    }
    assert f"/{ANSWERS}/{links.token(Grant(**own))}" == waiting.link
    path = f"/{ANSWERS}/{links.token(Grant(**(own | changes)))}"
    assert web.get(path).status_code == 404
    assert web.post(path, answer="accept").status_code == 404
    assert waiting.stands() == ("pending_assignment", "open")
