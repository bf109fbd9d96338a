"""What a reply leads to: an answer to a question, news about a session, or a refusal that changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import CancelSession, ReceiveReply, ReplyOutcome
from booking_tasks.enums import RefusalCode, RequestStatus
from booking_tasks.models import DirectoryUser, Event, Job, ScheduledSession
from booking_tasks.replies import service
from booking_tasks.replies.reading import read
from booking_tasks.requests.confirmation_requests import latest_confirmation_request
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.intake.confirmation_scenario import ConfirmationScenario, assigned_consultant
from tests.replies.mails import WEBER, calendar


class Mailbox(ConfirmationScenario):
    """An scenario whose asked consultant is reached at WEBER, and answers by mail."""

    def __init__(self, db: Session, ctx: Context) -> None:
        super().__init__(db, replace(ctx, actor="mail gateway", entry_point="replies"))
        self.mira = builders.user(db, name="Mira Lang", email="mira@example.org").user_id
        self.pending_request = self.pending(requester_user_id=self.mira)
        self.who = assigned_consultant(self.pending_request)
        builders.user(db, user_id=self.who, email="Weber@Example.org", name="Dr Weber")
        self.question = self.current_request()

    def current_request(self) -> UUID:
        latest = latest_confirmation_request(self.db, self.pending_request.id)
        assert latest is not None
        return latest.id

    def reply(
        self, content: str | None = None, sender: str = WEBER, authenticated: bool | None = True
    ) -> ReplyOutcome:
        text = calendar(self.question) if content is None else content
        command = ReceiveReply(
            message_id=uuid4(),
            actor="mail gateway",
            sender=sender,
            calendar=text,
            authenticated=authenticated,
        )
        return service.receive(self.db, self.ctx, command, read(text.encode()))

    def events(self) -> int:
        return self.db.scalar(select(func.count()).select_from(Event)) or 0


@pytest.fixture
def mailbox(db: Session, ctx: Context) -> Mailbox:
    return Mailbox(db, ctx)


def test_an_acceptance_books_on_the_consultants_word(mailbox: Mailbox) -> None:
    outcome = mailbox.reply()

    assert (outcome.result, outcome.answer, outcome.request_id) == (
        "done",
        "accepted",
        mailbox.pending_request.id,
    )
    assert mailbox.pending_request.status == "scheduled"
    recorded_event = mailbox.db.execute(select(Event).where(Event.type == "session.scheduled")).scalar_one()
    assert (recorded_event.actor, recorded_event.entry_point) == (str(mailbox.who), "replies")


def test_a_refusal_asks_somebody_else_once_however_often_it_comes(mailbox: Mailbox) -> None:
    no = calendar(mailbox.question, "DECLINED")
    assert mailbox.reply(no).result == "done"
    assert (mailbox.pending_request.status, mailbox.pending_request.excluded_consultant_user_ids) == (
        "pending_assignment",
        [mailbox.who],
    )
    search = (
        select(func.count()).select_from(Job).where(Job.job_type == "assign_request", Job.state == "waiting")
    )
    before = mailbox.events(), mailbox.db.scalar(search)
    assert before[1]
    assert mailbox.reply(no).result == "already_done"
    assert (mailbox.events(), mailbox.db.scalar(search)) == before


def test_the_same_yes_again_or_after_a_click_is_done_already(mailbox: Mailbox) -> None:
    mailbox.confirm(mailbox.pending_request, mailbox.who)
    before = mailbox.events()

    assert mailbox.reply().result == "already_done"
    assert mailbox.events() == before


@pytest.mark.parametrize("answer", ["TENTATIVE", "NEEDS-ACTION", "DELEGATED"])
def test_a_tentative_reply_is_no_answer_and_the_confirmation_request_still_waits(
    mailbox: Mailbox, answer: str
) -> None:
    outcome = mailbox.reply(calendar(mailbox.question, answer))

    assert (outcome.result, outcome.code) == ("refused", "no_answer")
    assert mailbox.reply().result == "done"


REFUSED: dict[str, tuple[Callable[[Mailbox], ReplyOutcome], str]] = {
    "another sender": (lambda box: box.reply(sender="other@example.org"), "wrong_person"),
    "another attendee": (
        lambda box: box.reply(
            calendar(box.question, attendee="ATTENDEE;PARTSTAT=ACCEPTED:mailto:o@example.org")
        ),
        "wrong_person",
    ),
    "the requester": (
        lambda box: box.reply(
            calendar(box.question, attendee="ATTENDEE;PARTSTAT=ACCEPTED:mailto:mira@example.org"),
            sender="mira@example.org",
        ),
        "wrong_person",
    ),
    "a sender whom nobody checked": (lambda box: box.reply(authenticated=None), "not_authenticated"),
    "a forged sender": (lambda box: box.reply(authenticated=False), "not_authenticated"),
    "no entry of ours": (lambda box: box.reply(calendar(uuid4())), "unknown_event"),
    "the request's id": (lambda box: box.reply(calendar(box.pending_request.id)), "unknown_event"),
    "another domain": (
        lambda box: box.reply(calendar(box.question).replace("@booking.", "@other.")),
        "unknown_event",
    ),
    "another time proposed": (
        lambda box: box.reply(calendar(box.question, method="COUNTER")),
        "counter_proposal",
    ),
    "an invitation": (lambda box: box.reply(calendar(box.question, method="REQUEST")), "not_a_reply"),
    "a cancellation": (lambda box: box.reply(calendar(box.question, method="CANCEL")), "not_a_reply"),
    "garbage": (lambda box: box.reply("garbage"), "unreadable"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_proves_nothing_is_refused_with_a_reason_and_changes_nothing(
    mailbox: Mailbox, case: str
) -> None:
    act, code = REFUSED[case]
    before = mailbox.events()
    outcome = act(mailbox)

    assert (outcome.result, outcome.code) == ("refused", code)
    assert outcome.errors
    assert "example.org" not in (outcome.message or "")
    assert mailbox.pending_request.status == "pending_confirmation"
    assert mailbox.events() == before


def test_a_deployment_can_accept_senders_whom_nobody_checked(mailbox: Mailbox) -> None:
    policies = replace(mailbox.ctx.policies, reply_unauthenticated="accept")
    mailbox.ctx = replace(mailbox.ctx, policies=policies)

    assert mailbox.reply(authenticated=False).code == RefusalCode.NOT_AUTHENTICATED
    assert mailbox.reply(authenticated=None).result == "done"


def test_whom_the_directory_does_not_know_nobody_can_be(mailbox: Mailbox) -> None:
    mailbox.db.delete(mailbox.db.get_one(DirectoryUser, mailbox.who))
    mailbox.db.flush()

    assert mailbox.reply().code == RefusalCode.WRONG_PERSON


def test_an_answer_after_the_deadline_is_refused_before_any_sweep_came(mailbox: Mailbox) -> None:
    mailbox.later(days=1, seconds=1)

    assert mailbox.reply().code == RefusalCode.HOLD_EXPIRED
    assert mailbox.pending_request.status == "pending_confirmation"


@pytest.mark.parametrize("answer", ["ACCEPTED", "DECLINED"])
def test_an_answer_to_a_resolved_confirmation_request_is_stale(mailbox: Mailbox, answer: str) -> None:
    mailbox.cancel(mailbox.pending_request)

    assert mailbox.reply(calendar(mailbox.question, answer)).code == RefusalCode.STALE
    assert mailbox.pending_request.status == RequestStatus.CANCELLED


# -- about sessions that are agreed ---------------------------------------------------------------------


@pytest.fixture
def agreed(mailbox: Mailbox) -> ScheduledSession:
    mailbox.confirm(mailbox.pending_request, mailbox.who)
    return mailbox.db.get_one(ScheduledSession, mailbox.pending_request.scheduled_session_id)


def recorded(mailbox: Mailbox) -> list[tuple[str, dict[str, Any]]]:
    rows = mailbox.db.execute(
        select(Event.actor, Event.after)
        .where(Event.type == "session.reply_recorded")
        .order_by(Event.position)
    )
    return [(row[0], row[1]) for row in rows]


def test_a_calendars_no_to_a_session_is_written_down_once_and_cancels_nothing(
    mailbox: Mailbox, agreed: ScheduledSession
) -> None:
    no = calendar(agreed.id, "DECLINED", sequence=1)
    assert [mailbox.reply(no).result for _ in range(2)] == ["done", "already_done"]

    assert agreed.status == "scheduled"
    assert recorded(mailbox) == [
        (
            str(mailbox.who),
            {
                "party": "consultant",
                "answer": "declined",
                "revision": 1,
                "answered_at": "2027-03-01T09:05:00+00:00",
            },
        )
    ]
    later = calendar(agreed.id, "ACCEPTED", sequence=1, stamp="20270301T090501Z")
    assert mailbox.reply(later).result == "done"
    assert mailbox.reply(no).code == RefusalCode.STALE
    assert [recorded_event["answer"] for _, recorded_event in recorded(mailbox)] == ["declined", "accepted"]


def test_a_requesters_answer_is_theirs(mailbox: Mailbox, agreed: ScheduledSession) -> None:
    attendee = "ATTENDEE;PARTSTAT={answer}:mailto:mira@example.org"
    outcome = mailbox.reply(
        calendar(agreed.id, "TENTATIVE", sequence=1, attendee=attendee), sender="mira@example.org"
    )

    assert (outcome.result, outcome.session_id) == ("done", agreed.id)
    assert recorded(mailbox) == [
        (
            str(mailbox.mira),
            {
                "party": "requester",
                "answer": "tentative",
                "revision": 1,
                "answered_at": "2027-03-01T09:05:00+00:00",
            },
        )
    ]


def test_an_answer_to_an_earlier_invitation_counts_for_nothing(
    mailbox: Mailbox, agreed: ScheduledSession
) -> None:
    attendee = "ATTENDEE;PARTSTAT={answer}:mailto:mira@example.org"
    early, high = (calendar(agreed.id, "DECLINED", sequence=number, attendee=attendee) for number in (0, 7))
    assert mailbox.reply(early, sender="mira@example.org").code == RefusalCode.STALE
    assert mailbox.reply(high, sender="mira@example.org").result == "done"
    assert [recorded_event["revision"] for _, recorded_event in recorded(mailbox)] == [1]


def test_an_answer_to_a_session_that_is_over_is_refused(mailbox: Mailbox, agreed: ScheduledSession) -> None:
    command = CancelSession(
        message_id=uuid4(), actor="x", session_id=agreed.id, cancelled_by="user", reason="ill"
    )
    sessions.cancel(mailbox.db, mailbox.ctx, command)

    assert mailbox.reply(calendar(agreed.id, "DECLINED", sequence=2)).code == RefusalCode.ALREADY_ENDED


def test_a_reply_to_a_repeated_confirmation_request_answers_only_the_later_one(mailbox: Mailbox) -> None:
    first = mailbox.question
    mailbox.decline(mailbox.pending_request, mailbox.who)
    mailbox.pending_request.excluded_consultant_user_ids = [
        one for one in mailbox.consultants if one != mailbox.who
    ]
    mailbox.db.flush()
    from booking_tasks.assignment.service import assign

    mailbox.ctx = replace(mailbox.ctx, now=mailbox.ctx.now + timedelta(minutes=1))
    assert assign(mailbox.db, mailbox.ctx, mailbox.pending_request.id).consultant_user_id == mailbox.who

    assert mailbox.reply(calendar(first)).code == RefusalCode.STALE
    assert mailbox.reply(calendar(first, "DECLINED")).result == "already_done"
    assert mailbox.pending_request.status == "pending_confirmation"
    assert mailbox.reply(calendar(mailbox.current_request())).result == "done"
