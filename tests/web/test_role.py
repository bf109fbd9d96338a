"""What pages do rarely, with the rights of booking_web alone, which all tests of pages have."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import delete, select, text, update

from booking_tasks.kit.database import transaction
from booking_tasks.models import (
    ConsultationRequest,
    DeadLetter,
    DirectoryUser,
    ForgottenPerson,
    InboxMessage,
    ServiceType,
)
from tests.accounts import APP, WEB, as_role, as_superuser
from tests.builders import NOW
from tests.web.conftest import ConfirmingService, Web
from tests.web.test_answers import Page, heading
from tests.web.test_offers import offered


def test_an_accepted_offer_of_a_consultant_who_confirms_waits_for_them(web: Web) -> None:
    waiting = offered("en")
    with transaction() as db:
        db.execute(update(ServiceType).values(requires_confirmation=True))
        db.execute(update(ConsultationRequest).values(deadline_at=None))

    assert web.post(waiting.link, answer="accept").status_code == 303
    assert waiting.stands() == ("pending_confirmation", "accepted")
    with transaction() as db:
        assert db.get_one(ConsultationRequest, waiting.request_id).deadline_at is not None
    assert heading(web.get(waiting.link)) == "You have accepted"


def test_a_page_names_nobody_who_was_forgotten(web: Web, confirming: ConfirmingService) -> None:
    request_id = confirming.request_confirmation()
    requester = confirming.request(request_id).requester_user_id
    with transaction() as db:
        db.execute(delete(DirectoryUser).where(DirectoryUser.user_id == requester))
        db.add(ForgottenPerson(person_id=requester, forgotten_at=NOW))

    page = web.get(confirming.link(request_id))

    assert page.status_code == 200
    assert "Mira Lang" not in str(Page(page.text).texts)


def test_an_answer_that_failed_too_often_is_a_dead_letter(
    web: Web, confirming: ConfirmingService, own_database: str
) -> None:
    link = confirming.link(confirming.request_confirmation())
    assert web.post(link, answer="accept").status_code == 303
    with psycopg.connect(as_superuser(own_database)) as superuser:  # as if each of its runs had failed
        superuser.execute(
            "UPDATE inbox SET state = 'received', outcome = NULL, body = '{}', finished_at = NULL,"
            " attempts = 99, attempted_at = attempted_at - interval '1 day'"
        )

    assert web.post(link, answer="accept").status_code == 303

    with transaction() as db:
        [dead_letter] = db.scalars(select(DeadLetter))
        assert (dead_letter.entry_point, dead_letter.task) == ("web", "confirm_request")
        assert db.scalars(select(InboxMessage.state)).all() == ["dead"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT args FROM jobs",
        "SELECT * FROM assignment_decisions",
        "SELECT url FROM calendar_feeds",
        "SELECT payload FROM dead_letters",
        "UPDATE jobs SET state = 'done'",
        "UPDATE directory_users SET email = 'mine@example.org'",
        "UPDATE scheduled_sessions SET billed_amount = 0",
        "UPDATE events SET actor = 'somebody else'",
        "DELETE FROM scheduled_sessions",
        "DELETE FROM consultation_requests",
        "DELETE FROM inbox",
        "TRUNCATE events",
    ],
)
def test_its_login_may_do_nothing_that_no_page_does(own_database: str, statement: str) -> None:
    with (
        psycopg.connect(as_role(own_database, WEB)) as pages,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        pages.execute(statement.encode())


def test_the_pages_of_these_tests_connect_as_their_role(web: Web, own_database: str) -> None:
    assert web.get("/healthz").status_code == 200
    with transaction() as db:
        assert db.execute(text("SELECT current_user")).scalar_one() == "booking_app"
    with psycopg.connect(as_superuser(own_database)) as superuser:
        found = superuser.execute(
            "SELECT usename FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
        )
        connected = {name for (name,) in found}
    assert connected >= {APP, WEB}
