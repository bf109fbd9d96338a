"""A link to a confirmation request that is opened late says what was answered and what became of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.models import ConsultationRequest, ScheduledSession
from tests import builders
from tests.builders import NOW
from tests.web.conftest import ConfirmingService, Web
from tests.web.test_answers import Page, heading


@pytest.mark.parametrize(
    ("answer", "reads"), [("accept", "Sie haben angenommen"), ("decline", "Sie haben abgelehnt")]
)
def test_who_answered_and_opens_the_link_late_reads_what_they_answered(
    web: Web, confirming: ConfirmingService, answer: str, reads: str
) -> None:
    request_id = confirming.request_confirmation()
    link = confirming.link(request_id)
    web.post(link, answer=answer)
    with transaction() as db:
        clock.step(db, NOW + timedelta(days=2))
    page = web.get(link)
    assert (page.status_code, heading(page)) == (200, reads)
    history = confirming.history(request_id)
    late = web.post(link, answer="accept")
    assert (late.status_code, heading(late)) == (410, reads)
    assert confirming.history(request_id) == history


@pytest.mark.parametrize(
    ("later", "reads"),
    [
        ("moved", "Die Beratung hat jetzt eine andere Zeit."),
        (
            "reassigned",
            "Die Beratung hat inzwischen jemand anderes übernommen. Sie brauchen nichts weiter zu tun.",
        ),
        ("cancelled", "Die Beratung wurde inzwischen abgesagt. Sie brauchen nichts weiter zu tun."),
    ],
)
def test_who_accepted_reads_what_became_of_it_since(
    web: Web, confirming: ConfirmingService, later: str, reads: str
) -> None:
    request_id = confirming.request_confirmation()
    link = confirming.link(request_id)
    web.post(link, answer="accept")
    with transaction() as db:
        request = db.get_one(ConsultationRequest, request_id)
        session = db.get_one(ScheduledSession, request.scheduled_session_id)
        hour = timedelta(hours=1)
        if later == "moved":
            builders.change_session(
                db,
                session,
                scheduled_start_time=session.scheduled_start_time + hour,
                scheduled_end_time=session.scheduled_end_time + hour,
            )
        elif later == "reassigned":
            [other] = [one for one in confirming.consultants if one != session.consultant_user_id]
            builders.change_session(db, session, consultant_user_id=other)
        else:
            builders.take_steps(db, session, "cancelled_by_user")
    page = Page(web.get(link).text)
    assert (page.texts["h1"], page.texts["p"]) == (["Sie haben angenommen"], [reads])
    assert ("Jetzt" in page.texts["dt"]) == (later == "moved")
