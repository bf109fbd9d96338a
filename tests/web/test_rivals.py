"""A confirmation request is answered in every way at once, near its deadline: exactly one answer wins."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from booking_tasks.intake.tasks import confirm_request, decline_request, expire_requests
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.models import ConsultationRequest, DirectoryUser, Event, InboxMessage, ScheduledSession
from booking_tasks.replies import tasks as replies
from booking_tasks.replies.reading import read
from booking_tasks.replies.rules import Rejected, Reply
from booking_tasks.requests.confirmation_requests import confirmation_request
from tests import builders
from tests.builders import NOW
from tests.invariants import of_rows
from tests.replies.mails import calendar
from tests.web.conftest import ConfirmingService, Web

ROUNDS = 20
#: How long a question waits.
MINUTES = 10
#: How a question may end here.
FATES = {"accepted", "declined", "unanswered"}


@pytest.fixture
def busy_service(web: Web) -> ConfirmingService:
    """Three consultants with ten free days, who have ten minutes to answer."""
    with transaction() as db:
        service_type = builders.service_type(db, requires_confirmation=True, confirmation_minutes=MINUTES)
        who = [builders.consultant(db).consultant_user_id for _ in range(3)]
        for one in who:
            builders.user(db, user_id=one, name="Dr Weber")
            builders.window(db, one, NOW, hours=240)
    return ConfirmingService(service_type.id, who)


class Round:
    """One question, and the ways to answer it."""

    def __init__(self, web: Web, confirming: ConfirmingService, ready: Callable[[], None]) -> None:
        self.web, self.confirming, self.ready = web, confirming, ready
        self.command = confirming.request_confirmation()
        self.link = confirming.link(self.command)
        request = confirming.request(self.command)
        assert request.assigned_consultant_user_id is not None
        self.who: UUID = request.assigned_consultant_user_id
        with transaction() as db:
            self.address = db.get_one(DirectoryUser, self.who).email
            self.confirmation_request_id = db.execute(
                select(Event.id).where(
                    Event.consultation_request_id == self.command,
                    Event.type == "request.confirmation_requested",
                )
            ).scalar_one()

    def by_link(self, answer: str) -> str:
        self.ready()
        return str(self.web.client.post(self.link, data={"answer": answer}).status_code)

    def by_task(self, task: Any) -> str:
        body = {
            "message_id": str(uuid4()),
            "actor": "x",
            "request_id": str(self.command),
            "consultant_user_id": str(self.who),
        }
        self.ready()
        answer = task(request=body)
        return str(answer["code"] or answer["result"])

    def by_calendar(self, partstat: str) -> str:
        text = calendar(
            self.confirmation_request_id,
            partstat,
            attendee=f"ATTENDEE;PARTSTAT={{answer}}:mailto:{self.address}",
            # A decline from before the acceptance, so that it counts only if it comes first.
            stamp="20270301T090500Z" if partstat == "ACCEPTED" else "20270301T085900Z",
        )
        body = {
            "message_id": str(uuid4()),
            "actor": "mail",
            "sender": self.address,
            "calendar": text,
            "authenticated": True,
        }
        answer = replies.receive_reply(request=body)  # ready when it has been read
        return str(answer["code"] or answer["result"])

    def by_silence(self) -> str:
        self.ready()
        with transaction() as db:
            clock.step(db, clock.now(db) + timedelta(minutes=MINUTES))
        return f"swept {expire_requests()}"


def race(
    web: Web, confirming: ConfirmingService, monkeypatch: pytest.MonkeyPatch, ways: int
) -> tuple[str, Counter[str]]:
    """One round: all at once; the question's fate, and what the rivals were told."""
    gate = threading.Barrier(ways)

    def ready() -> None:
        gate.wait(60)

    def read_here(text: str) -> Reply | Rejected:
        """Without a process of its own, which would cost it every race."""
        found = read(text.encode())
        ready()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(replies, "read", read_here)
        one = Round(web, confirming, ready)
        rivals: list[Callable[[], str]] = [
            lambda: one.by_link("accept"),
            lambda: one.by_task(decline_request),
            one.by_silence,
            lambda: one.by_calendar("ACCEPTED"),
            lambda: one.by_calendar("DECLINED"),
            lambda: one.by_task(confirm_request),
        ][:ways]
        with ThreadPoolExecutor(ways) as pool:
            results = Counter(future.result(120) for future in [pool.submit(rival) for rival in rivals])
    return _resolution(one), results


def _resolution(one: Round) -> str:
    with transaction() as db:
        request_confirmation = confirmation_request(db, one.confirmation_request_id)
        assert request_confirmation is not None
        request = db.get_one(ConsultationRequest, one.command)
        sessions = db.execute(
            select(ScheduledSession).where(ScheduledSession.consultation_request_id == one.command)
        ).scalars()
        ended = db.scalar(
            select(func.count())
            .select_from(Event)
            .where(
                Event.consultation_request_id == one.command,
                Event.type.in_(("session.scheduled", "request.declined", "request.unanswered")),
            )
        )
        unanswered = db.scalar(
            select(func.count()).select_from(InboxMessage).where(InboxMessage.state != "done")
        )
        found = [(row.id, row.consultant_user_id, row.revision) for row in sessions]
    assert (ended, unanswered) == (1, 0)
    if request_confirmation.resolution == "accepted":
        assert request.status == "scheduled"
        assert found == [(one.confirmation_request_id, one.who, 1)]
    else:
        assert (request.status, request.excluded_consultant_user_ids) == ("pending_assignment", [one.who])
        assert found == []
    return request_confirmation.resolution


def test_of_all_answers_at_once_exactly_one_wins_and_the_others_get_the_state(
    web: Web, busy_service: ConfirmingService, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolutions: Counter[str] = Counter()
    for _ in range(ROUNDS):
        resolution, results = race(web, busy_service, monkeypatch, 6)
        resolutions[resolution] += 1
        assert results["303"] + results["410"] == 1, (
            results
        )  # who clicked is shown what stands, or that it is over
        won = results["done"] + (1 if resolution == "unanswered" else 0)
        by_link = resolution == "accepted" and results["done"] == 0
        assert won + by_link == 1, (resolution, results)
        assert set(results) <= {
            "303",
            "410",
            "done",
            "already_done",
            "not_waiting",
            "stale",
            "hold_expired",
            "swept 0",
            "swept 1",
        }, results
        with transaction() as db:
            assert [line for line in of_rows(db) if "decision" not in line] == []

    assert set(resolutions) <= FATES
    assert len(resolutions) > 1, resolutions
