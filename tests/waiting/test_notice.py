"""The letter about an offer: in the reader's language and zone, and only while the offer is open."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import AcceptOffer, DeclineOffer
from booking_tasks.invites.notices import compose_notice
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped
from booking_tasks.models import ConsultationRequest, Job
from booking_tasks.outbox.job_args import SendNotice
from tests import builders
from tests.invites.test_service import SENDER, body, read
from tests.sample_jobs import leased_row
from tests.waiting.waiting_scenario import WaitingScenario


def offered(room: WaitingScenario, language: str = "en") -> tuple[ConsultationRequest, LeasedJob[SendNotice]]:
    """A request with an offer, and the job that tells of it."""
    request = room.waits()
    people = {"Mira Lang": request.requester_user_id, "Dr Okafor": room.who}
    for name, who in people.items():
        builders.user(
            room.db,
            user_id=who,
            name=name,
            language=language,
            time_zone="Europe/Vienna",
        )
    room.frees()
    room.offers()
    job = room.db.scalars(select(Job).where(Job.job_type == "send_notice")).one()
    assert job.args["recipient"] == str(request.requester_user_id)
    return request, leased_row(job)


@pytest.mark.parametrize(
    ("language", "subject", "when", "until"),
    [
        (
            "en",
            "A time has become free: Algebra with Dr Okafor",
            "When: Tuesday, 2 March 2027, 10:00–11:00, Europe/Vienna (CET)",
            "Please answer until: Monday, 1 March 2027, 10:30, Europe/Vienna (CET)",
        ),
        (
            "de",
            "Eine Zeit ist frei geworden: Algebra mit Dr Okafor",
            "Wann: Dienstag, 2. März 2027, 10:00–11:00 Uhr, Europe/Vienna (CET)",
            "Bitte antworten bis: Montag, 1. März 2027, 10:30 Uhr, Europe/Vienna (CET)",
        ),
    ],
)
def test_the_requester_reads_what_is_offered_until_when_and_with_whom(
    db: Session, ctx: Context, language: str, subject: str, when: str, until: str
) -> None:
    room = WaitingScenario(db, ctx, name="Algebra")
    _, job = offered(room, language)
    mail = read(compose_notice(db, ctx, SENDER, job))
    assert mail["Subject"] == subject
    assert when in body(mail)
    assert until in body(mail)
    assert mail["To"].addresses[0].display_name == "Mira Lang"


@pytest.mark.parametrize(
    ("answer", "state"), [(None, "lapsed"), (DeclineOffer, "declined"), (AcceptOffer, "accepted")]
)
def test_an_offer_that_is_answered_or_over_sends_no_notice(
    db: Session, ctx: Context, answer: Any, state: str
) -> None:
    room = WaitingScenario(db, ctx)
    request, job = offered(room)
    if answer is None:
        room.later(minutes=30)
    else:
        room.answers(answer, request)
    assert compose_notice(db, room.ctx, SENDER, job) == Skipped(f"the offer is {state}")
