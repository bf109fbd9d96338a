"""An address that changes in one transaction while another one composes an invitation to the old address."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.catalogue.directory import upsert_user
from booking_tasks.context import Context
from booking_tasks.contracts import UpsertUser
from booking_tasks.invites.notices import compose_notice
from booking_tasks.invites.service import compose_invite
from booking_tasks.invites.updating import update_invites
from booking_tasks.jobs.steps import Finished, Skipped, Snooze
from booking_tasks.kit.database import transaction
from booking_tasks.models import DirectoryUser, Job, ScheduledSession, SessionMailbox
from booking_tasks.outbox.job_args import SendInvite, UpdateInvites
from booking_tasks.requests.store import locked_request
from tests.builders import NOW
from tests.concurrent_transactions import overtaken
from tests.invites.mailboxes import NEW, SENDER
from tests.invites.test_tentative_mailboxes import OLD, Confirming
from tests.mail.ledger import change, committed_session
from tests.sample_jobs import leased_job, leased_row

pytestmark = pytest.mark.usefixtures("own_database", "valkey")

CTX = Context(now=NOW, actor="iam", entry_point="admin")
LATER = Context(now=NOW + timedelta(minutes=1), actor="jobs", entry_point="sweep")


@pytest.fixture
def session() -> ScheduledSession:
    return committed_session(meeting_platform_join_url="https://meet.example.org/r/1")


def _change_address(session: ScheduledSession) -> None:
    command = UpsertUser(
        message_id=uuid4(),
        actor="iam",
        user_id=session.requester_user_id,
        name="Mira Lang",
        email=NEW,
        time_zone="UTC",
    )
    with transaction() as db:
        upsert_user(db, CTX, command)


def _compose(db: Session, session: ScheduledSession) -> Any:
    return compose_invite(db, CTX, SENDER, leased_job(SendInvite(session.id, 0, session.requester_user_id)))


def _update(db: Session, session: ScheduledSession) -> Any:
    return update_invites(db, LATER, SENDER, leased_job(UpdateInvites(session.requester_user_id, uuid4())))


def test_an_invitation_that_is_being_composed_is_removed_from_the_old_mailbox(
    session: ScheduledSession,
) -> None:
    with transaction() as db:
        old = db.get_one(DirectoryUser, session.requester_user_id).email

    def compose(db: Session) -> None:
        assert isinstance(_compose(db, session), bytes)
        _change_address(session)

    assert overtaken(compose, lambda db: _update(db, session)) == Finished()

    with transaction() as db:
        [box] = db.scalars(select(SessionMailbox))
        ordered = db.execute(select(Job.job_type, Job.args).where(Job.subject_id == session.id)).all()
        assert (box.address, db.get_one(ScheduledSession, session.id).revision) == (old, 1)
        removals = [args["mailbox_id"] for job_type, args in ordered if job_type == "send_cancellation"]
        invites = [args["revision"] for job_type, args in ordered if job_type == "send_invite"]
    assert removals == [str(box.id)]
    assert invites == [1]


@pytest.fixture
def confirming() -> Confirming:
    with transaction() as db:
        scenario = Confirming(db, CTX)
        db.expunge_all()
    return scenario


def _compose_request(db: Session, confirming: Confirming) -> Any:
    found = select(Job).where(Job.job_type == "send_notice", Job.subject_id == confirming.request.id)
    row = db.scalars(found).one()
    row.state, row.lease_token, row.lease_until = "leased", uuid4(), LATER.now
    return compose_notice(db, CTX, SENDER, leased_row(row))


def test_a_confirmation_request_that_is_being_composed_moves_to_the_new_mailbox(
    confirming: Confirming,
) -> None:
    def compose(db: Session) -> None:
        assert isinstance(_compose_request(db, confirming), bytes)
        with transaction() as other:
            upsert_user(other, CTX, confirming.address_command(NEW))

    def update(db: Session) -> Any:
        return update_invites(db, LATER, SENDER, leased_job(UpdateInvites(confirming.who, uuid4())))

    assert overtaken(compose, update) == Finished()

    with transaction() as db:
        [box] = db.scalars(select(SessionMailbox))
        ordered = db.scalars(select(Job.args).where(Job.args["change_id"].astext.is_not(None))).all()
        moved = [args for args in ordered if args.get("changed_id") is None]
    assert box.address == OLD
    assert sorted(args.get("mailbox_id") or args["notice"] for args in moved) == sorted(
        [str(box.id), "confirmation_requested"]
    )


def test_a_confirmation_request_waits_while_its_request_is_being_changed(confirming: Confirming) -> None:
    with transaction() as db:
        assert locked_request(db, confirming.request.id) is not None
        with transaction() as other:
            assert isinstance(_compose_request(other, confirming), Snooze)


def test_an_invitation_waits_while_its_session_is_being_updated(session: ScheduledSession) -> None:
    with transaction() as db:
        db.execute(
            select(ScheduledSession.id).where(ScheduledSession.id == session.id).with_for_update()
        ).one()
        with transaction() as other:
            assert isinstance(_compose(other, session), Snooze)
    change(session, revision=1)

    with transaction() as db:
        assert _compose(db, session) == Skipped("superseded by a later revision")
