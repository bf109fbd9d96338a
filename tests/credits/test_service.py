"""What a consultant got is written once, and taken back once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking_tasks.assignment.rules import Criteria
from booking_tasks.assignment.store import lock_pool
from booking_tasks.context import Context
from booking_tasks.credits import service
from booking_tasks.models import AssignmentCredit, ConsultantLeave
from tests import builders
from tests.builders import NOW


def credits_of(db: Session, consultant: UUID) -> Decimal:
    total = select(func.coalesce(func.sum(AssignmentCredit.amount), 0))
    return db.execute(total.where(AssignmentCredit.consultant_user_id == consultant)).scalar_one()


def test_a_request_gives_one_credit_however_often_it_is_written(db: Session, ctx: Context) -> None:
    who = builders.consultant(db).consultant_user_id
    request = builders.request(db, builders.service_type(db).id)
    assert service.grant_credit(db, ctx, request, who)
    assert not service.grant_credit(db, ctx, request, who)
    assert credits_of(db, who) == 1


def test_a_granted_credit_is_reversed_once_and_may_be_granted_again(db: Session, ctx: Context) -> None:
    first, second = (builders.consultant(db).consultant_user_id for _ in range(2))
    request = builders.request(db, builders.service_type(db).id)
    service.grant_credit(db, ctx, request, first)
    assert service.reverse_credit(db, ctx, request.id, "reassigned") == 1
    assert service.reverse_credit(db, ctx, request.id, "reassigned") == 0
    service.grant_credit(db, ctx, request, second)
    service.reverse_credit(db, ctx, request.id, "reassigned")
    service.grant_credit(db, ctx, request, first)
    assert (credits_of(db, first), credits_of(db, second)) == (Decimal(1), Decimal(0))


@pytest.mark.parametrize(("policy", "left"), [("returns", 0), ("counts", 1)])
def test_a_requester_who_did_not_come_gives_the_turn_back_until_that_is_corrected(
    db: Session, ctx: Context, policy: Literal["returns", "counts"], left: int
) -> None:
    ctx = replace(ctx, policies=replace(ctx.policies, assignment_no_show=policy))
    who = builders.consultant(db).consultant_user_id
    request = builders.request(db, builders.service_type(db).id)
    service.grant_credit(db, ctx, request, who)
    for _ in range(2):
        service.record_verdict(db, ctx, request.id, who, "no_show_user")
        assert credits_of(db, who) == left
    service.record_verdict(db, ctx, request.id, who, "completed")
    assert credits_of(db, who) == 1
    service.record_verdict(db, ctx, request.id, who, "no_show_user")
    assert credits_of(db, who) == left


def test_a_session_that_the_requester_chose_has_no_credit_to_reverse(db: Session, ctx: Context) -> None:
    session = builders.booked_session(db)
    assert not service.record_verdict(
        db, ctx, session.consultation_request_id, session.consultant_user_id, "no_show_user"
    )


def test_who_was_on_leave_is_credited_once_when_it_is_over(db: Session, ctx: Context) -> None:
    service_type_id = builders.service_type(db).id
    there, away = (builders.consultant(db, time_zone="Asia/Tokyo").consultant_user_id for _ in range(2))
    lock_pool(db, Criteria(uuid4(), service_type_id), NOW)
    day = NOW.replace(tzinfo=None, hour=0)
    db.add(
        ConsultantLeave(
            consultant_user_id=away, start_local=day, end_local=day + timedelta(days=1), reason="rest"
        )
    )
    for _ in range(3):
        service.grant_credit(db, ctx, builders.request(db, service_type_id), there)
    over = NOW.replace(hour=15)  # midnight in Tokyo
    assert service.credit_leaves(db, replace(ctx, now=over - timedelta(seconds=1))) == 0
    assert service.credit_leaves(db, replace(ctx, now=over)) == 1
    assert service.credit_leaves(db, replace(ctx, now=over)) == 0
    assert (credits_of(db, there), credits_of(db, away)) == (Decimal(3), Decimal(3))
