"""Warnings of outcomes: whom no mail can reach, in every outcome that books something."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from booking_tasks.catalogue.directory import upsert_user
from booking_tasks.context import Context
from booking_tasks.contracts import (
    BookSeries,
    ConfirmHold,
    ConfirmRequest,
    HoldSlot,
    Outcome,
    RescheduleSession,
    SubmitRequest,
    UpsertUser,
)
from booking_tasks.enums import PutOffReason
from booking_tasks.inbox.warnings import with_warnings
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import DirectoryUser, Job
from booking_tasks.outbox.job_args import SendInvite
from tests import builders
from tests.absence.scenario import DAY, HOUR, TEN, apply, colleague, meeting, plan, undo
from tests.builders import NOW
from tests.refusals.world import START, World
from tests.sample_jobs import job_row

OWN = "booking@example.org"


def warned(world: World, outcome: Outcome) -> set[tuple[str, str, UUID]]:
    assert outcome.result == "done", outcome
    found = with_warnings(world.db, outcome, OWN)
    assert all(str(one.user_id) in one.message for one in found.warnings)
    return {(one.code, one.party, one.user_id) for one in found.warnings}


def _submitted(world: World, **people: Any) -> Outcome:
    return world.run(SubmitRequest, **people)


def _confirmed_hold(world: World, **people: Any) -> Outcome:
    request = uuid7()
    held: Any = world.run(HoldSlot, request_id=request, **people)
    return world.run(ConfirmHold, request_id=request, hold_token=held.hold_token)


def _series(world: World, **people: Any) -> Outcome:
    starts = [START, START + timedelta(hours=2)]
    return world.run(BookSeries, series_id=uuid7(), starts=starts, **people)


def _moved(world: World, **people: Any) -> Outcome:
    booked: Any = world.run(SubmitRequest, **people)
    later = START + timedelta(hours=2)
    return world.run(RescheduleSession, session_id=booked.session_id, new_start=later)


@pytest.mark.parametrize("book", [_submitted, _confirmed_hold, _series, _moved])
def test_an_outcome_that_books_names_who_is_unknown(db: Session, ctx: Context, book: Any) -> None:
    world, requester = World(db, ctx), uuid7()

    assert warned(world, book(world, requester_user_id=requester)) == {
        ("unknown_person", "requester", requester),
        ("unknown_person", "consultant", world.who),
    }


@pytest.mark.parametrize("address", ["Booking+x@example.org", "a..b@example.org", "unusable"])
def test_an_address_that_no_mail_can_reach_is_named(db: Session, ctx: Context, address: str) -> None:
    world = World(db, ctx)
    builders.user(db, user_id=world.who)
    requester = builders.user(db, email=address).user_id

    assert warned(world, _submitted(world, requester_user_id=requester)) == {
        ("unusable_address", "requester", requester)
    }


def test_a_confirmation_request_to_somebody_unknown_is_named_when_it_is_made_and_confirmed(
    db: Session, ctx: Context
) -> None:
    world, request = World(db, ctx, requires_confirmation=True), uuid7()
    requester = builders.user(db).user_id
    unknown = {("unknown_person", "consultant", world.who)}

    held = world.run(SubmitRequest, request_id=request, requester_user_id=requester)
    assert warned(world, held) == unknown
    confirmed = world.run(ConfirmRequest, request_id=request, consultant_user_id=world.who)
    assert warned(world, confirmed) == unknown


def test_an_applied_absence_plan_names_whom_its_mail_does_not_reach_and_a_draft_nobody(
    db: Session, ctx: Context
) -> None:
    okafor = colleague(db, (TEN - HOUR, 8))
    taker = colleague(db, (TEN - HOUR, 2))
    proposed = colleague(db, (TEN + DAY, 4))
    service_type = builders.service_type(db).id
    taken, moved = (meeting(db, okafor, service_type, start) for start in (TEN, TEN + 3 * HOUR))
    unreached = {okafor, taker, proposed, taken.requester_user_id, moved.requester_user_id}

    def named(outcome: Outcome) -> set[tuple[str, str, UUID]]:
        found = with_warnings(db, outcome, OWN).warnings
        return {(one.code, one.party, one.user_id) for one in found}

    draft = plan(db, ctx, okafor)
    assert {one.consultant_user_id for one in draft.steps} == {taker, proposed}
    db.execute(update(DirectoryUser).where(DirectoryUser.user_id.in_(unreached)).values(email="unusable"))
    db.execute(delete(DirectoryUser).where(DirectoryUser.user_id == taker))
    assert named(draft) == set()

    everybody = {
        ("unknown_person", "consultant", taker),
        ("unusable_address", "consultant", okafor),
        ("unusable_address", "consultant", proposed),
        ("unusable_address", "requester", taken.requester_user_id),
        ("unusable_address", "requester", moved.requester_user_id),
    }
    for result in ("done", "already_done"):
        applied = apply(db, ctx, draft.plan_id)
        assert (applied.result, named(applied)) == (result, everybody)
    assert named(undo(db, ctx, draft.plan_id)) == set()


def test_nobody_is_named_where_all_are_known_or_nothing_is_booked(db: Session, ctx: Context) -> None:
    world = World(db, ctx)
    builders.user(db, user_id=world.who)
    requester = builders.user(db).user_id

    assert warned(world, _submitted(world, requester_user_id=requester)) == set()
    assert warned(world, world.run(HoldSlot, start=START + timedelta(hours=2))) == set()


def test_what_waits_for_a_person_is_due_at_once_when_they_come(db: Session, ctx: Context) -> None:
    one, other = uuid7(), uuid7()
    waiting = {"put_off_reason": PutOffReason.DIRECTORY, "retry_at": NOW + timedelta(days=4000)}
    theirs = job_row(SendInvite(uuid7(), 0, one), **waiting)
    of_other = job_row(SendInvite(uuid7(), 0, other), **waiting)
    of_server = job_row(SendInvite(uuid7(), 0, one), **waiting | {"put_off_reason": PutOffReason.UNREACHABLE})
    db.add_all([theirs, of_other, of_server])
    db.flush()
    command = UpsertUser(
        message_id=uuid4(), actor="iam", user_id=one, name="Mira", email="mira@example.com", time_zone="UTC"
    )

    upsert_user(db, replace(ctx, now=NOW), command)

    def wait(job: Job) -> Any:
        db.refresh(job)
        return job.retry_at

    assert wait(theirs) < waiting["retry_at"]
    assert wait(of_other) == wait(of_server) == waiting["retry_at"]
