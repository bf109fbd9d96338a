"""Answers to proposals of another time by link: accepted it is booked, declined the session is cancelled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from booking_tasks.absence import announcement
from booking_tasks.context import Context
from booking_tasks.enums import SessionStatus
from booking_tasks.invites.notices import ANSWERS, OFFERS, PROPOSALS, compose_notice
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.kit.signed_links import Grant
from booking_tasks.mail.handler import sender_of
from booking_tasks.models import AbsencePlanStep, DirectoryUser, Event, Job, ScheduledSession
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.absence.scenario import DAY, HOUR, TEN, apply, colleague, meeting, plan
from tests.builders import NOW
from tests.invites.test_service import SENDER, body, read
from tests.sample_jobs import leased_row
from tests.web.conftest import Web
from tests.web.test_answers import Page, counts, heading


@dataclass
class Proposed:
    """A session whose requester is proposed another time, and the path of the link in the mail."""

    session_id: UUID
    requester: UUID
    proposal_id: UUID
    until: Any
    link: str

    def stands(self) -> tuple[str, str]:
        with transaction() as db:
            step = db.get_one(AbsencePlanStep, self.proposal_id)
            return db.get_one(ScheduledSession, self.session_id).status, step.state


def proposed(language: str = "en") -> Proposed:
    with transaction() as db:
        ctx = Context(now=NOW, actor="test", entry_point="booking")
        service_type_id = builders.service_type(db, name="Algebra").id
        okafor = colleague(db, (TEN - HOUR, 8))
        stein = colleague(db, (TEN + DAY, 4))
        session = meeting(db, okafor, service_type_id, TEN)
        db.get_one(DirectoryUser, stein).name = "Dr Stein"
        db.get_one(DirectoryUser, session.requester_user_id).language = language
        at_once = replace(ctx, policies=replace(ctx.policies, absence_grace=timedelta(0)))
        apply(db, at_once, plan(db, at_once, okafor).plan_id)
        notice = db.scalars(select(Job).where(Job.job_type == "send_notice")).one()
        text = body(read(compose_notice(db, ctx, sender_of(settings()), leased_row(notice))))
        without = body(read(compose_notice(db, ctx, SENDER, leased_row(notice))))
        assert {"en": "where you asked for the consultation", "de": "wo Sie die Beratung angefragt haben"}[
            language
        ] in without
        address = settings().public_url
        link = next(line for line in text.splitlines() if line.startswith(f"{address}/"))
        step = db.scalars(select(AbsencePlanStep)).one()
        return Proposed(
            session.id, session.requester_user_id, step.id, step.answer_by, link.removeprefix(str(address))
        )


@pytest.mark.parametrize(
    ("language", "asks", "labels", "buttons"),
    [
        (
            "en",
            "Does this time suit you?",
            ["What", "With", "Agreed", "Proposed", "Please answer until"],
            ["Accept", "Decline"],
        ),
        (
            "de",
            "Passt Ihnen diese Zeit?",
            ["Was", "Mit", "Vereinbart", "Vorgeschlagen", "Bitte antworten bis"],
            ["Annehmen", "Ablehnen"],
        ),
    ],
)
def test_the_link_in_the_mail_shows_both_times_and_a_get_changes_nothing(
    web: Web, language: str, asks: str, labels: list[str], buttons: list[str]
) -> None:
    offered = proposed(language)
    before = counts()
    answer = web.get(offered.link)
    page = Page(answer.text)
    assert (answer.status_code, page.texts["h1"], page.texts["dt"]) == (200, [asks], labels)
    assert page.texts["dd"][:2] == ["Algebra", "Dr Stein"]
    assert page.texts["button"] == buttons
    assert counts() == before
    assert offered.stands() == ("scheduled", "offered")


def test_accepting_moves_the_session_once_however_often_it_is_pressed(web: Web) -> None:
    offered = proposed()
    for _ in range(2):
        assert web.post(offered.link, answer="accept").status_code == 303
    assert offered.stands() == ("scheduled", "done")
    with transaction() as db:
        assert db.get_one(ScheduledSession, offered.session_id).scheduled_start_time == TEN + DAY
        [event] = db.scalars(select(Event).where(Event.type == "session.reassigned"))
        assert (event.actor, event.entry_point) == (str(offered.requester), "web")
    assert heading(web.get(offered.link)) == "You have accepted"
    web.post(offered.link, answer="decline")
    assert offered.stands() == ("scheduled", "done")


def test_declining_cancels_the_session(web: Web) -> None:
    offered = proposed()
    web.post(offered.link, answer="decline")
    assert offered.stands() == ("cancelled_by_consultant", "cancelled")
    page = Page(web.get(offered.link).text)
    assert (page.texts["h1"], page.texts["p"]) == (
        ["You have declined"],
        ["The consultation is cancelled. There is nothing more to do."],
    )
    assert "button" not in page.texts


def test_who_accepted_and_opens_the_link_late_reads_so_and_nothing_happens(web: Web) -> None:
    offered = proposed()
    web.post(offered.link, answer="accept")
    with transaction() as db:
        clock.step(db, offered.until)
    page = web.get(offered.link)
    assert (page.status_code, heading(page)) == (200, "You have accepted")
    late = web.post(offered.link, answer="decline")
    assert (late.status_code, heading(late)) == (410, "You have accepted")
    assert offered.stands() == ("scheduled", "done")


def test_who_declined_and_opens_the_link_late_reads_so(web: Web) -> None:
    offered = proposed()
    web.post(offered.link, answer="decline")
    with transaction() as db:
        clock.step(db, offered.until + DAY)
    assert heading(web.get(offered.link)) == "You have declined"


@pytest.mark.parametrize("swept", [False, True])
def test_who_did_not_answer_reads_that_the_time_is_over(web: Web, swept: bool) -> None:
    offered = proposed()
    with transaction() as db:
        clock.step(db, offered.until)
        if swept:
            ctx = Context(now=offered.until, actor="test", entry_point="sweep")
            assert (
                announcement.end_unanswered_proposal(db, ctx, offered.session_id, offered.proposal_id) is None
            )
    answer = web.get(offered.link)
    assert (answer.status_code, heading(answer)) == (410, "The time to answer is over")
    assert web.post(offered.link, answer="accept").status_code == 410
    assert offered.stands()[0] == ("cancelled_by_consultant" if swept else "scheduled")


def test_what_became_of_an_accepted_time_is_shown(web: Web) -> None:
    offered = proposed()
    web.post(offered.link, answer="accept")
    with transaction() as db:
        session = db.get_one(ScheduledSession, offered.session_id)
        span = timedelta(hours=1)
        builders.change_session(
            db,
            session,
            scheduled_start_time=session.scheduled_start_time + span,
            scheduled_end_time=session.scheduled_end_time + span,
        )
    page = Page(web.get(offered.link).text)
    assert page.texts["p"] == ["The consultation has another time now."]
    assert page.texts["dt"] == ["What", "With", "Proposed", "Now"]
    with transaction() as db:
        session = db.get_one(ScheduledSession, offered.session_id)
        ctx = Context(now=NOW, actor="test", entry_point="booking")
        sessions.cancel_locked(db, ctx, session, SessionStatus.CANCELLED_BY_USER, "exam")
    page = Page(web.get(offered.link).text)
    assert (page.texts["h1"], page.texts["p"]) == (
        ["You have accepted"],
        ["The consultation was cancelled since. There is nothing more to do."],
    )


@pytest.mark.parametrize(
    "changes", [{"purpose": ANSWERS}, {"purpose": OFFERS}, {"person": UUID(int=7)}, {"subject": UUID(int=7)}]
)
def test_a_link_for_another_purpose_person_or_proposal_opens_nothing(
    web: Web, changes: dict[str, Any]
) -> None:
    offered = proposed()
    links = settings().links
    assert links is not None
    own: dict[str, Any] = {
        "purpose": PROPOSALS,
        "subject": offered.proposal_id,
        "person": offered.requester,
        "until": offered.until,
    }
    assert f"/{ANSWERS}/{links.token(Grant(**own))}" == offered.link
    path = f"/{ANSWERS}/{links.token(Grant(**(own | changes)))}"
    assert web.get(path).status_code == 404
    assert web.post(path, answer="accept").status_code == 404
    assert offered.stands() == ("scheduled", "offered")
