"""Which reply to a session counts: what its side was last asked, and of those the last that was given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.absence.service import reassign
from booking_tasks.context import Context
from booking_tasks.contracts import (
    CancelSession,
    ReassignSession,
    ReceiveReply,
    ReplyOutcome,
    RescheduleSession,
)
from booking_tasks.enums import Party, RefusalCode, ReplyAnswer
from booking_tasks.invites.service import compose_cancellation, compose_invite
from booking_tasks.models import DirectoryUser, Event, ScheduledSession
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import SendCancellation, SendInvite
from booking_tasks.replies import service
from booking_tasks.replies.reading import read as read_calendar
from booking_tasks.sessions import service as sessions
from booking_tasks.sessions.answers import answer_of, last_answer
from tests import builders
from tests.builders import NOW
from tests.concurrent_transactions import overtaken
from tests.invites.test_questions import event_in
from tests.invites.test_service import SENDER, read, sent_before
from tests.replies.mails import calendar
from tests.replies.test_service import Mailbox
from tests.sample_jobs import leased_job

MIRA = "mira@example.org"


class Agreed:
    """A session that its requester asked for and its consultant confirmed by link, and what follows."""

    def __init__(self, db: Session, ctx: Context) -> None:
        self.db = db
        self.box = Mailbox(db, ctx)
        self.box.confirm(self.box.pending_request, self.box.who)
        self.session = db.get_one(ScheduledSession, self.box.pending_request.scheduled_session_id)
        self.requester, self.consultant = self.box.mira, self.box.who

    def reply(self, who: UUID, answer: str, sequence: int, minute: int) -> ReplyOutcome:
        sender = self.db.get_one(DirectoryUser, who).email
        text = calendar(
            self.session.id,
            answer.upper(),
            sequence=sequence,
            attendee=f"ATTENDEE;PARTSTAT={{answer}}:mailto:{sender}",
            stamp=f"20270301T10{minute:02}00Z",
        )
        return self.box.reply(text, sender=sender)

    def move(self, hours: int = 2) -> None:
        start = self.session.scheduled_start_time + timedelta(hours=hours)
        command = RescheduleSession(
            message_id=uuid4(), actor="m", session_id=self.session.id, new_start=start
        )
        self.box.later(minutes=1)
        assert sessions.reschedule(self.db, self.box.ctx, command).result == "done"

    def reassign(self, who: UUID) -> None:
        command = ReassignSession(
            message_id=uuid4(), actor="d", session_id=self.session.id, consultant_user_id=who, reason="ill"
        )
        self.box.later(minutes=1)
        assert reassign(self.db, self.box.ctx, command).result == "done"

    def change_link(self) -> None:
        """Another link: a new revision that asks nobody."""
        self.box.later(minutes=1)
        sessions.revise(self.session, self.box.ctx)
        after = {"revision": self.session.revision}
        outbox.record_event(
            self.db, self.box.ctx, EventType.SESSION_LINK_CHANGED, session=self.session, after=after
        )

    def colleague(self) -> UUID:
        [other] = [one for one in self.box.consultants if one != self.consultant]
        builders.user(self.db, user_id=other, email="stein@example.org", name="Dr Stein")
        return other

    def partstat(self, who: UUID) -> str:
        """What the next invitation says of its reader."""
        self.db.flush()
        args = SendInvite(self.session.id, self.session.revision, who)
        mail = read(compose_invite(self.db, self.box.ctx, SENDER, leased_job(args)))
        return str(event_in(mail)["ATTENDEE"].params["PARTSTAT"])


@pytest.fixture
def agreed(db: Session, ctx: Context) -> Agreed:
    return Agreed(db, ctx)


def test_the_latest_answer_stands_in_whatever_order_they_arrive(agreed: Agreed) -> None:
    answers = [("accepted", 1), ("declined", 2), ("tentative", 3)]
    for order in permutations(answers):
        with agreed.db.begin_nested() as attempt:
            for answer, minute in order:
                agreed.reply(agreed.requester, answer, 1, minute)
            known = last_answer(agreed.db, agreed.session, Party.REQUESTER)
            assert known is not None
            assert known.answer == "tentative"
            attempt.rollback()


def test_in_one_second_the_more_cautious_answer_stands_in_whatever_order_they_arrive(agreed: Agreed) -> None:
    for order in permutations(["accepted", "declined", "tentative"]):
        with agreed.db.begin_nested() as attempt:
            for answer in order:
                agreed.reply(agreed.requester, answer, 1, 1)
            assert answer_of(agreed.db, agreed.session, agreed.requester) == "declined"
            attempt.rollback()


def test_an_acceptance_repeated_later_outlasts_a_decline_from_between(agreed: Agreed) -> None:
    results = [
        agreed.reply(agreed.requester, answer, 1, minute).result
        for answer, minute in (("accepted", 1), ("accepted", 3), ("accepted", 3), ("declined", 2))
    ]
    assert results == ["done", "done", "already_done", "refused"]
    assert answer_of(agreed.db, agreed.session, agreed.requester) == "accepted"


def test_a_move_asks_both_sides_again(agreed: Agreed) -> None:
    for who in (agreed.requester, agreed.consultant):
        agreed.reply(who, "accepted", 1, 1)
        assert agreed.partstat(who) == "ACCEPTED"
    agreed.move()
    for who in (agreed.requester, agreed.consultant):
        assert agreed.partstat(who) == "NEEDS-ACTION"
        assert agreed.reply(who, "accepted", 1, 59).code == RefusalCode.STALE
        assert agreed.reply(who, "tentative", 2, 2).result == "done"
        assert agreed.partstat(who) == "TENTATIVE"


def test_a_move_there_and_back_asks_again_too(agreed: Agreed) -> None:
    agreed.move(2)
    agreed.move(-2)
    assert agreed.partstat(agreed.consultant) == "NEEDS-ACTION"
    assert agreed.reply(agreed.consultant, "accepted", 2, 1).code == RefusalCode.STALE
    assert agreed.reply(agreed.consultant, "accepted", 3, 1).result == "done"


def test_another_link_asks_nobody_and_makes_no_answer_stale(agreed: Agreed) -> None:
    agreed.reply(agreed.requester, "declined", 1, 1)
    agreed.change_link()
    assert agreed.session.revision == 2
    assert (agreed.partstat(agreed.requester), agreed.partstat(agreed.consultant)) == ("DECLINED", "ACCEPTED")
    assert agreed.reply(agreed.requester, "accepted", 1, 2).result == "done"
    assert agreed.partstat(agreed.requester) == "ACCEPTED"


def test_another_consultant_is_invited_and_the_requesters_answer_survives(agreed: Agreed) -> None:
    agreed.reply(agreed.requester, "tentative", 1, 1)
    former, other = agreed.consultant, agreed.colleague()
    agreed.reassign(other)
    assert (agreed.partstat(agreed.requester), agreed.partstat(other)) == ("TENTATIVE", "NEEDS-ACTION")
    assert agreed.reply(agreed.requester, "accepted", 1, 2).result == "done"
    assert agreed.reply(other, "accepted", 1, 2).code == RefusalCode.STALE
    assert agreed.reply(other, "declined", 2, 2).result == "done"
    assert agreed.reply(former, "declined", 1, 3).code == RefusalCode.WRONG_PERSON

    agreed.reassign(former)
    assert (agreed.partstat(agreed.requester), agreed.partstat(former)) == ("ACCEPTED", "NEEDS-ACTION")
    assert agreed.reply(former, "accepted", 1, 4).code == RefusalCode.STALE
    assert agreed.reply(former, "accepted", 3, 4).result == "done"


def test_who_confirmed_was_invited_then_and_may_think_again_at_once(agreed: Agreed) -> None:
    """The entry in the calendar still has SEQUENCE 0 when the invitation is not there yet."""
    assert agreed.partstat(agreed.consultant) == "ACCEPTED"
    assert agreed.reply(agreed.consultant, "accepted", 0, 1).result == "already_done"
    assert agreed.reply(agreed.consultant, "declined", 0, 2).result == "done"
    assert agreed.partstat(agreed.consultant) == "DECLINED"
    assert agreed.session.status == "scheduled"


def test_a_decline_from_before_the_acceptance_is_overtaken_by_it(db: Session, ctx: Context) -> None:
    box = Mailbox(db, ctx)
    accepted = calendar(box.question, "ACCEPTED", stamp="20270301T101000Z")
    declined = calendar(box.question, "DECLINED", stamp="20270301T100900Z")
    assert [box.reply(accepted).result, box.reply(accepted).result] == ["done", "already_done"]
    assert box.reply(declined).code == RefusalCode.STALE
    session = db.get_one(ScheduledSession, box.question)
    assert answer_of(db, session, box.who) == "accepted"
    again = calendar(box.question, "DECLINED", stamp="20270301T101001Z")
    assert box.reply(again).result == "done"
    assert answer_of(db, session, box.who) == "declined"


def test_a_cancellation_has_the_last_answer_too(agreed: Agreed) -> None:
    agreed.reply(agreed.requester, "tentative", 1, 1)
    args = SendInvite(agreed.session.id, 1, agreed.requester)
    sent_before(agreed.db, args)
    command = CancelSession(
        message_id=uuid4(), actor="m", session_id=agreed.session.id, cancelled_by="user", reason="x"
    )
    sessions.cancel(agreed.db, agreed.box.ctx, command)
    agreed.db.flush()
    cancelled = SendCancellation(agreed.session.id, agreed.session.revision, agreed.requester)
    mail = read(compose_cancellation(agreed.db, agreed.box.ctx, SENDER, leased_job(cancelled)))
    assert str(event_in(mail)["ATTENDEE"].params["PARTSTAT"]) == "TENTATIVE"


def test_an_answer_of_a_release_before_without_its_instant_is_read(agreed: Agreed) -> None:
    after = {"party": "requester", "answer": "declined", "revision": 1}
    outbox.record_event(
        agreed.db, agreed.box.ctx, EventType.SESSION_REPLY_RECORDED, session=agreed.session, after=after
    )
    known = last_answer(agreed.db, agreed.session, Party.REQUESTER)
    assert known is not None
    assert (known.answer, known.answered_at) == (ReplyAnswer.DECLINED, NOW)


@pytest.mark.parametrize("first", ["accepted", "declined"])
@pytest.mark.usefixtures("own_database")
def test_replies_at_once_end_with_the_latest(first: str) -> None:
    from booking_tasks.kit.database import transaction

    with transaction() as db:
        session = builders.booked_session(db)
        session_id, requester = session.id, session.requester_user_id
        db.get_one(DirectoryUser, requester).email = MIRA
    minutes = {"accepted": 1, "declined": 2}
    [second] = minutes.keys() - {first}

    def answered(answer: str) -> Callable[[Session], str]:
        text = calendar(
            session_id,
            answer.upper(),
            attendee=f"ATTENDEE;PARTSTAT={{answer}}:mailto:{MIRA}",
            stamp=f"20270301T10{minutes[answer]:02}00Z",
        )
        command = ReceiveReply(
            message_id=uuid4(), actor="gateway", sender=MIRA, calendar=text, authenticated=True
        )
        ctx = Context(now=NOW, actor="gateway", entry_point="replies")
        return lambda db: service.receive(db, ctx, command, read_calendar(text.encode())).result

    assert overtaken(answered(first), answered(second)) == ("done" if second == "declined" else "refused")
    with transaction() as db:
        assert answer_of(db, db.get_one(ScheduledSession, session_id), requester) == "declined"
        answers = select(Event.after["answer"].astext).where(Event.type == "session.reply_recorded")
        assert list(db.scalars(answers.order_by(Event.position))) == (
            ["accepted", "declined"] if first == "accepted" else ["declined"]
        )
