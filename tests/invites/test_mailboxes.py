"""Each mailbox ends with the event, or without it, whatever changes and however the mails arrive."""

from __future__ import annotations

from itertools import permutations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.enums import JobState, SessionStatus
from booking_tasks.invites.service import (
    record_sent,
)
from booking_tasks.models import DirectoryUser, ServiceType, SessionMailbox
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import SendInvite
from booking_tasks.sessions.service import cancel_locked, revise
from tests import builders
from tests.invites.calendar_client import CalendarClient
from tests.invites.mailboxes import CONSULTANT, LINK, NEW, OLD, World, invited
from tests.sample_jobs import job_row, leased_row


@pytest.fixture
def unsent(db: Session, ctx: Context) -> World:
    session = builders.booked_session(db, meeting_platform_join_url=LINK)
    for who, address in (
        (session.requester_user_id, OLD),
        (session.consultant_user_id, "okafor@example.org"),
    ):
        db.get_one(DirectoryUser, who).email = address
    db.flush()
    return World(db, ctx, session)


@pytest.fixture
def world(unsent: World) -> World:
    return invited(unsent)


# -- another address ---------------------------------------------------------------------------------------


def test_a_new_address_gets_the_event_and_the_old_one_loses_it(world: World) -> None:
    world.move_to(NEW)
    sent = {mail.to: mail for mail in world.deliver()}

    assert set(sent) == {OLD, NEW}
    assert (sent[OLD].method, sent[NEW].method) == ("CANCEL", "REQUEST")
    assert LINK not in sent[OLD].text
    assert NEW not in sent[OLD].text
    assert LINK in sent[NEW].text
    assert {mail.sequence for mail in sent.values()} == {1}
    assert (sent[NEW].answer, sent[NEW].has_rsvp) == ("NEEDS-ACTION", True)
    assert world.revision() == 1
    assert world.holders() == {NEW, CONSULTANT}


def test_any_order_and_repetition_of_the_mails_ends_alike(world: World) -> None:
    world.move_to(NEW)
    world.deliver()
    world.move_to("third@example.net")
    world.deliver()
    world.move_to(OLD)
    world.deliver()

    theirs = [mail for mail in world.mails if mail.to != CONSULTANT]
    assert len(theirs) == 7
    for order in permutations(theirs):
        assert world.holders([*order, *order]) == {OLD}


def test_one_client_with_both_mailboxes_keeps_the_event(world: World) -> None:
    world.move_to(NEW)
    world.deliver()

    for order in permutations([mail for mail in world.mails if mail.to != CONSULTANT]):
        client = CalendarClient()
        for mail in order:
            client.apply(mail)
        assert [mail.to for mail in client.events] == [NEW]


def test_a_case_of_letters_is_no_other_mailbox(world: World) -> None:
    world.move_to(OLD.upper())
    assert [mail.method for mail in world.deliver() if mail.to == OLD and mail.method == "CANCEL"] == []
    assert world.holders() == {OLD, CONSULTANT}


def test_an_address_that_changes_before_the_invitation_went_out_costs_no_revision(unsent: World) -> None:
    unsent.db.add(job_row(SendInvite(unsent.session.id, 0, unsent.session.requester_user_id)))
    unsent.db.flush()
    unsent.move_to(NEW)

    assert [(mail.to, mail.method, mail.sequence) for mail in unsent.deliver()] == [(NEW, "REQUEST", 0)]


def test_an_address_that_changes_twice_before_the_mails_go_out_gets_one_of_each(world: World) -> None:
    world.move_to("typo@example.net")
    world.update()
    world.move_to(NEW)

    assert sorted((mail.to, mail.method) for mail in world.deliver()) == [(NEW, "REQUEST"), (OLD, "CANCEL")]
    assert world.revision() == 1


@pytest.mark.parametrize("is_cancelled_first", [True, False])
def test_an_address_that_changes_back_keeps_the_event(world: World, is_cancelled_first: bool) -> None:
    world.move_to(NEW)
    world.deliver() if is_cancelled_first else world.update()
    world.move_to(OLD)
    world.deliver()

    assert world.holders() == {OLD, CONSULTANT}


def test_an_address_that_changes_back_while_the_cancellation_is_sent_keeps_the_event(world: World) -> None:
    world.move_to(NEW)
    world.update()
    [removal] = world.waiting("send_cancellation")
    cancelled = world.begin(removal)
    assert cancelled is not None
    world.move_to(OLD)
    world.update()
    world.end(removal, JobState.DONE, 1)
    record_sent(world.db, world.ctx, leased_row(removal))
    world.deliver()

    assert world.holders([*world.mails, cancelled]) == {OLD, CONSULTANT}


def test_an_address_that_changes_while_the_invitation_is_sent_loses_the_event(unsent: World) -> None:
    unsent.db.add(job_row(SendInvite(unsent.session.id, 0, unsent.session.requester_user_id)))
    unsent.db.flush()
    [row] = unsent.waiting("send_invite")
    mail = unsent.begin(row)
    assert mail is not None
    unsent.move_to(NEW)
    unsent.update()
    unsent.end(row, JobState.DONE, 1)
    record_sent(unsent.db, unsent.ctx, leased_row(row))
    sent = unsent.deliver()

    assert unsent.holders([*sent, mail]) == {NEW}


def test_a_repeat_of_the_same_bytes_leaves_the_record_of_where_they_went(unsent: World) -> None:
    unsent.db.add(job_row(SendInvite(unsent.session.id, 0, unsent.session.requester_user_id)))
    unsent.db.flush()
    [row] = unsent.waiting("send_invite")
    mail = unsent.begin(row)
    assert mail is not None
    row.payload = b"the mail of the first try, whose result is not known"
    unsent.move_to(NEW)
    assert unsent.begin(row) is not None
    [box] = unsent.db.scalars(select(SessionMailbox))
    assert box.mailbox == OLD

    unsent.deliver()
    assert unsent.holders([*unsent.mails, mail]) == {NEW}


def test_both_sides_may_change_at_once(world: World) -> None:
    world.move_to(NEW)
    world.person(world.session.consultant_user_id, email="okafor@example.net")
    world.deliver()

    assert world.holders() == {NEW, "okafor@example.net"}
    assert world.revision() <= 2


def test_two_sides_may_swap_their_mailboxes(world: World) -> None:
    world.move_to(CONSULTANT)
    world.person(world.session.consultant_user_id, email=OLD)
    world.deliver()

    assert world.holders() == {OLD, CONSULTANT}
    last = {mail.to: mail.summary for mail in world.mails}
    assert "Mira Lang" in last[OLD]
    assert "Okafor" in last[CONSULTANT]


def test_a_corrected_address_is_invited_and_the_refused_one_gets_nothing(unsent: World) -> None:
    unsent.db.add(job_row(SendInvite(unsent.session.id, 0, unsent.session.requester_user_id)))
    unsent.db.flush()
    unsent.refuse(unsent.waiting("send_invite")[0])
    unsent.move_to(NEW)

    assert [(mail.to, mail.method) for mail in unsent.deliver()] == [(NEW, "REQUEST")]


def test_a_cancelled_session_leaves_all_mailboxes(world: World) -> None:
    world.move_to(NEW)
    world.update()  # the mails about the new address are still waiting
    world.later(minutes=1)
    cancel_locked(world.db, world.ctx, world.session, SessionStatus.CANCELLED_BY_USER, "ill")
    world.deliver()

    assert world.holders() == set()
    assert NEW not in {mail.to for mail in world.mails}


def test_a_cancellation_goes_where_the_event_is(world: World) -> None:
    cancel_locked(world.db, world.ctx, world.session, SessionStatus.CANCELLED_BY_USER, "ill")
    world.move_to(NEW)
    sent = world.deliver()

    assert {(mail.to, mail.method) for mail in sent} == {(OLD, "CANCEL"), (CONSULTANT, "CANCEL")}


def test_a_session_that_is_over_is_left_alone(world: World) -> None:
    world.later(days=3)
    world.move_to(NEW)

    assert world.deliver() == []
    assert world.revision() == 0


def test_the_other_side_hears_nothing_of_a_new_address(world: World) -> None:
    world.answer("consultant", "accepted")
    world.move_to(NEW)

    assert CONSULTANT not in {mail.to for mail in world.deliver()}


# -- other names -------------------------------------------------------------------------------------------


def test_renames_that_wait_become_one_update_that_asks_nothing_again(world: World) -> None:
    world.answer("requester", "accepted")
    world.answer("consultant", "tentative")
    world.rename_service("Geometry I")
    world.rename_service("Geometry II")
    world.person(world.session.requester_user_id, name="Mira Lang-Huber")
    sent = {mail.to: mail for mail in world.deliver()}

    assert len(sent) == 2
    assert world.revision() == 1
    assert (sent[OLD].answer, sent[OLD].has_rsvp) == ("ACCEPTED", False)
    assert (sent[CONSULTANT].answer, sent[CONSULTANT].has_rsvp) == ("TENTATIVE", False)
    assert all("Geometry II" in mail.summary and mail.sequence == 1 for mail in sent.values())
    assert "Lang-Huber" in sent[CONSULTANT].summary


def test_a_rename_to_the_same_name_or_back_sends_nothing(world: World) -> None:
    row = world.db.get_one(ServiceType, world.session.consultation_service_type_id)
    name = row.name
    world.rename_service(name)
    assert world.deliver() == []
    world.rename_service("Other")
    world.rename_service(name)
    assert world.deliver() == []
    assert world.revision() == 0


def test_a_rename_while_an_update_waits_costs_no_second_one(world: World) -> None:
    world.rename_service("Geometry I")
    world.update()
    world.rename_service("Geometry II")

    assert len(world.deliver()) == 2
    assert world.revision() == 1


def test_an_answer_survives_the_other_sides_address_and_a_rename_and_ends_with_a_move(world: World) -> None:
    world.answer("consultant", "accepted")
    world.move_to(NEW)
    world.deliver()
    world.rename_service("Geometry")
    sent = {mail.to: mail for mail in world.deliver()}
    assert sent[CONSULTANT].answer == "ACCEPTED"
    assert sent[NEW].answer == "NEEDS-ACTION"

    revise(world.session, world.ctx)
    world.db.flush()
    after = {"revision": world.session.revision}
    outbox.record_event(
        world.db, world.ctx, EventType.SESSION_RESCHEDULED, session=world.session, before={}, after=after
    )
    moved = {mail.to: mail for mail in world.deliver()}
    assert (moved[CONSULTANT].answer, moved[CONSULTANT].has_rsvp) == ("NEEDS-ACTION", True)


def test_the_name_of_somebody_who_comes_late_is_sent_to_the_other_side(db: Session, ctx: Context) -> None:
    session = builders.booked_session(db, meeting_platform_join_url=LINK)
    db.get_one(DirectoryUser, session.consultant_user_id).email = CONSULTANT
    db.delete(db.get_one(DirectoryUser, session.requester_user_id))
    late = World(db, ctx, session)
    for who in (session.requester_user_id, session.consultant_user_id):
        db.add(job_row(SendInvite(session.id, 0, who)))
    db.flush()
    assert [(mail.to, "(name to follow)" in mail.summary) for mail in late.deliver()] == [(CONSULTANT, True)]

    late.person(session.requester_user_id)
    sent = {mail.to: mail for mail in late.deliver()}

    assert set(sent) == {OLD, CONSULTANT}
    assert "Mira Lang" in sent[CONSULTANT].summary
    assert late.holders() == {OLD, CONSULTANT}


def test_what_is_stored_of_each_mailbox_is_what_was_last_sent(world: World) -> None:
    world.move_to(NEW)
    world.deliver()
    boxes = world.db.execute(
        select(SessionMailbox.mailbox, SessionMailbox.method, SessionMailbox.sequence).order_by(
            SessionMailbox.mailbox
        )
    ).all()

    assert [tuple(box) for box in boxes] == [
        (NEW, "REQUEST", 1),
        (OLD, "CANCEL", 1),
        (CONSULTANT, "REQUEST", 0),
    ]
