"""A start kept by token: the clock alone ends it, and only its token renews, releases or confirms it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.availability import service as availability
from booking_tasks.catalogue import policies
from booking_tasks.context import Context
from booking_tasks.contracts import (
    ConfirmHold,
    ConfirmRequest,
    HoldOutcome,
    HoldSlot,
    ReleaseHold,
    RenewHold,
    SetConsultantPolicy,
)
from booking_tasks.holds import service
from booking_tasks.intake import service as intake
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import Consultant, ConsultationRequest, Event, Job, ScheduledSession
from tests import builders
from tests.builders import NOW
from tests.concurrent_transactions import overtaken
from tests.invariants import ALWAYS

START = NOW + timedelta(days=1)


class Counter:
    """One consultant with four hours tomorrow, and people who want them."""

    def __init__(self, db: Session, ctx: Context, **service_type: Any) -> None:
        self.db, self.ctx = db, ctx
        self.service_type = builders.service_type(db, **service_type)
        self.who = builders.consultant(db).consultant_user_id
        builders.window(db, self.who, START, hours=4)

    def change(self, **values: Any) -> None:
        """Change the consultant's profile."""
        row = self.db.get_one(Consultant, self.who)
        for name, value in values.items():
            setattr(row, name, value)
        self.db.flush()

    def hold(self, start: datetime = START, **values: Any) -> HoldOutcome:
        message = {
            "message_id": uuid4(),
            "actor": "shop",
            "request_id": uuid7(),
            "requester_user_id": uuid7(),
            "service_type_id": self.service_type.id,
            "consultant_user_id": self.who,
            "start": start,
        }
        return service.hold_slot(self.db, self.ctx, HoldSlot.model_validate(message | values))

    def say(self, contract: Any, held: HoldOutcome, **values: Any) -> HoldOutcome:
        message = {
            "message_id": uuid4(),
            "actor": "shop",
            "request_id": held.request_id,
            "hold_token": held.hold_token,
        }
        outcome: HoldOutcome = getattr(service, contract.task)(
            self.db, self.ctx, contract.model_validate(message | values)
        )
        assert [name for name, rows in ALWAYS.items() if self.db.execute(text(rows)).first()] == []
        return outcome

    def later(self, **by: float) -> None:
        self.ctx = replace(self.ctx, now=self.ctx.now + timedelta(**by))

    def request(self, held: HoldOutcome) -> ConsultationRequest:
        assert held.request_id is not None
        return self.db.get_one(ConsultationRequest, held.request_id)


def test_a_held_start_is_booked_by_its_token_once(db: Session, ctx: Context) -> None:
    counter = Counter(db, ctx)
    held = counter.hold()
    assert (held.result, held.status, held.held_until) == ("done", "pending", NOW + timedelta(minutes=10))
    assert (held.start, held.end) == (START, START + timedelta(hours=1))
    booked = counter.say(ConfirmHold, held)
    assert (booked.result, booked.status, booked.start) == ("done", "scheduled", START)
    again = counter.say(ConfirmHold, held)
    assert (again.result, again.session_id) == ("already_done", booked.session_id)
    assert db.scalar(select(func.count()).select_from(ScheduledSession)) == 1


def test_another_token_can_do_nothing(db: Session, ctx: Context) -> None:
    counter = Counter(db, ctx)
    held = counter.hold()
    for contract in (RenewHold, ReleaseHold, ConfirmHold):
        assert counter.say(contract, held, hold_token=uuid4()).code == "unknown_hold"
        assert counter.say(contract, held, request_id=uuid4()).code == "unknown_hold"
    assert counter.say(ConfirmHold, held).result == "done"


def test_the_clock_alone_ends_a_hold_and_the_next_one_takes_its_start(db: Session, ctx: Context) -> None:
    counter = Counter(db, ctx)
    held = counter.hold()
    assert counter.hold().code == "slot_taken"
    counter.later(minutes=10)
    for contract in (RenewHold, ConfirmHold):
        assert counter.say(contract, held).code == "hold_expired"
    assert counter.hold().result == "done"
    for contract in (RenewHold, ConfirmHold):
        assert counter.say(contract, held).code == "hold_expired"


def test_a_request_whose_hold_is_over_is_cancelled_and_nobody_is_written_to(
    db: Session, ctx: Context
) -> None:
    counter = Counter(db, ctx)
    held = counter.hold()
    request = counter.request(held)
    assert intake.overdue_requests(db, counter.ctx) == []
    counter.later(minutes=10)
    assert intake.overdue_requests(db, counter.ctx) == [request.id]
    assert intake.give_up(db, counter.ctx, request.id)
    assert (request.status, request.status_reason) == ("cancelled", "hold_expired")
    assert db.scalar(select(func.count()).where(Job.job_type == "send_notice")) == 0
    assert counter.say(ConfirmHold, held).code == "hold_expired"


def test_nobody_looks_for_a_consultant_while_a_start_is_kept(db: Session, ctx: Context) -> None:
    counter = Counter(db, ctx)
    held = counter.hold()
    assert held.request_id is not None
    assert assignment.waiting_request_ids(db, counter.ctx) == []
    assert assignment.assign(db, counter.ctx, held.request_id).result == "nothing"
    assert db.scalar(select(func.count()).where(Job.job_type == "assign_request")) == 0


def test_a_renewed_hold_lives_longer_but_not_for_ever(db: Session, ctx: Context) -> None:
    counter = Counter(db, ctx)
    held = counter.hold(minutes=50)
    request = counter.request(held)
    for _ in range(2):
        counter.later(minutes=40)
        renewed = counter.say(RenewHold, held, minutes=50)
        assert renewed.result == "done"
        assert request.deadline_at == renewed.held_until
    assert renewed.held_until == NOW + timedelta(hours=2)
    assert not intake.give_up(db, counter.ctx, request.id)
    assert counter.say(RenewHold, held, minutes=50).code == "longest_hold"
    assert counter.say(RenewHold, held, minutes=1).result == "already_done"
    first, *renewals = db.execute(
        select(Event.before, Event.after).where(Event.type == "request.held").order_by(Event.position)
    ).all()
    assert first.before == {}
    assert len(renewals) == 2
    for earlier, later in pairwise([first, *renewals]):
        assert later.before == earlier.after


def test_a_hold_ends_where_its_session_begins(db: Session, ctx: Context) -> None:
    counter = Counter(db, ctx)
    counter.ctx = replace(ctx, now=START - timedelta(minutes=5))
    held = counter.hold(minutes=30)
    assert held.held_until == START
    assert counter.say(RenewHold, held, minutes=60).code == "longest_hold"


def test_a_released_start_is_free_at_once(db: Session, ctx: Context) -> None:
    counter = Counter(db, ctx)
    held = counter.hold()
    assert counter.say(ReleaseHold, held).status == "cancelled"
    assert counter.say(ReleaseHold, held).result == "already_done"
    assert counter.hold().result == "done"
    assert counter.say(ConfirmHold, held).code == "not_held"


def test_what_was_confirmed_cannot_be_released(db: Session, ctx: Context) -> None:
    counter = Counter(db, ctx)
    held = counter.hold()
    counter.say(ConfirmHold, held)
    for contract in (ReleaseHold, RenewHold):
        assert counter.say(contract, held).code == "not_held"


def test_where_the_consultant_confirms_confirmation_is_requested_and_the_hold_goes_on(
    db: Session, ctx: Context
) -> None:
    counter = Counter(db, ctx, requires_confirmation=True)
    held = counter.hold()
    pending = counter.say(ConfirmHold, held)
    assert (pending.status, pending.held_until) == ("pending_confirmation", START)
    assert counter.say(ConfirmHold, held).result == "already_done"
    assert counter.hold().code == "slot_taken"
    confirmed = intake.confirm(
        db,
        counter.ctx,
        ConfirmRequest(
            message_id=uuid4(),
            actor="ada",
            request_id=counter.request(held).id,
            consultant_user_id=counter.who,
        ),
    )
    assert confirmed.status == "scheduled"


def test_what_cannot_be_held_is_refused_and_leaves_no_request(db: Session, ctx: Context) -> None:
    counter = Counter(db, ctx)
    taken: UUID = uuid7()
    refusals = {
        "unknown_service_type": counter.hold(service_type_id=uuid4()),
        "unknown_consultant": counter.hold(consultant_user_id=uuid4()),
        "is_the_requester": counter.hold(requester_user_id=counter.who),
        "slot_not_free": counter.hold(START + timedelta(minutes=1), request_id=taken),
    }
    assert {code: one.code for code, one in refusals.items()} == {code: code for code in refusals}
    assert counter.hold(NOW - timedelta(hours=1)).code == "slot_not_free"
    assert db.scalar(select(func.count()).select_from(ConsultationRequest)) == 0
    counter.hold(request_id=taken)
    assert counter.hold(START + timedelta(hours=2), request_id=taken).code == "request_exists"


def test_a_hold_that_is_being_renewed_is_not_tidied_away_meanwhile(own_database: str, ctx: Context) -> None:
    with transaction() as db:
        held = Counter(db, ctx).hold()
    assert held.held_until is not None
    assert held.request_id is not None
    a_second, over = timedelta(seconds=1), held.held_until

    def sweep(*_: object) -> None:
        with transaction() as rival:
            availability.expire_holds(rival, replace(ctx, now=over + a_second))

    with transaction() as db:
        event.listen(db, "before_flush", sweep, once=True)
        just_in_time = replace(ctx, now=over - a_second)
        assert availability.extend_hold(db, just_in_time, held.request_id, NOW + timedelta(hours=1))

    with transaction() as db:
        kept = availability.held_slot(db, held.request_id)
        assert kept is not None
        assert kept.held_until == NOW + timedelta(hours=1)


def test_confirmation_is_requested_when_it_became_required_just_now(own_database: str, ctx: Context) -> None:
    with transaction() as db:
        counter = Counter(db, ctx)
        held = counter.hold()
    own = {"consultant_user_id": counter.who, "service_type_id": counter.service_type.id}
    policy = SetConsultantPolicy.model_validate(
        {"message_id": uuid4(), "actor": "staff", "requires_confirmation": True} | own
    )
    yes = ConfirmHold.model_validate(
        {"message_id": uuid4(), "actor": "shop", "request_id": held.request_id, "hold_token": held.hold_token}
    )

    late = overtaken(
        lambda db: policies.set_consultant_policy(db, ctx, policy),
        lambda db: service.confirm_hold(db, ctx, yes),
    )

    assert (late.result, late.status) == ("done", "pending_confirmation")


# -- whom the consultant serves, and how many they may have ----------------------------------------------


@pytest.mark.parametrize("company", ["theirs", "another", None])
def test_a_consultant_of_companies_is_held_by_these_alone(
    db: Session, ctx: Context, company: str | None
) -> None:
    counter = Counter(db, ctx)
    theirs = uuid7()
    counter.change(company_ids=[theirs])
    outcome = counter.hold(company_id={"theirs": theirs, "another": uuid7(), None: None}[company])
    if company == "theirs":
        assert outcome.result == "done"
    else:
        assert (outcome.result, outcome.code) == ("refused", "not_for_company")
        assert [one.field for one in outcome.errors] == ["consultant_user_id"]
        assert db.scalar(select(func.count()).select_from(ConsultationRequest)) == 0


def test_a_consultant_at_capacity_is_not_held_until_something_ends(db: Session, ctx: Context) -> None:
    counter = Counter(db, ctx)
    counter.change(assignment_capacity=2)
    first = counter.hold()
    counter.hold(START + timedelta(hours=1))
    full = counter.hold(START + timedelta(hours=2))
    assert (full.result, full.code) == ("refused", "at_capacity")
    counter.say(ReleaseHold, first)
    assert counter.hold(START + timedelta(hours=2)).result == "done"


def test_two_holds_at_once_do_not_pass_the_capacity(own_database: str, ctx: Context) -> None:
    with transaction() as db:
        counter = Counter(db, ctx)
        counter.change(assignment_capacity=1)

    def hold(hour: int) -> Callable[[Session], HoldOutcome]:
        def act(db: Session) -> HoldOutcome:
            counter.db = db
            return counter.hold(START + timedelta(hours=hour))

        return act

    assert overtaken(hold(0), hold(2)).code == "at_capacity"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"is_available_for_booking": False}, "not_available_for_booking"),
        ({"service_type_ids": []}, "service_not_offered"),
    ],
)
def test_a_hold_of_what_is_not_offered_at_all_is_refused_with_the_true_cause(
    db: Session, ctx: Context, change: dict[str, Any], code: str
) -> None:
    counter = Counter(db, ctx)
    counter.change(**change)
    assert counter.hold().code == code


def test_a_start_for_which_no_hours_are_known_yet_is_beyond_the_horizon(db: Session, ctx: Context) -> None:
    counter = Counter(db, ctx, horizon_days=400)
    assert counter.hold(NOW + timedelta(days=200)).code == "beyond_horizon"
    assert counter.hold(NOW + timedelta(days=50)).code == "slot_not_free"
