"""A consultant's own policies: set, replaced, taken away, refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.availability import service as availability
from booking_tasks.availability.service import Refusal, Reservation
from booking_tasks.catalogue import policies as service
from booking_tasks.context import Context
from booking_tasks.contracts import SetConsultantPolicy
from booking_tasks.models import ConsultantPolicy
from tests import builders
from tests.builders import NOW


def policy(who: UUID, service_type_id: UUID, **own: Any) -> SetConsultantPolicy:
    return SetConsultantPolicy(
        message_id=uuid4(), actor="staff", consultant_user_id=who, service_type_id=service_type_id, **own
    )


def test_a_policy_is_set_replaced_whole_and_taken_away(db: Session, ctx: Context) -> None:
    service_type_id, who = builders.service_type(db).id, builders.consultant(db).consultant_user_id

    def stored() -> tuple[int | None, int | None] | None:
        row = db.get(ConsultantPolicy, (who, service_type_id), populate_existing=True)
        return None if row is None else (row.duration_minutes, row.max_sessions_per_day)

    steps: list[tuple[dict[str, int], str, object]] = [
        ({"duration_minutes": 90}, "done", (90, None)),
        ({"duration_minutes": 90}, "already_done", (90, None)),
        ({"max_sessions_per_day": 2}, "done", (None, 2)),
        ({}, "done", None),
        ({}, "already_done", None),
    ]
    for own, result, left in steps:
        assert service.set_consultant_policy(db, ctx, policy(who, service_type_id, **own)).result == result
        assert stored() == left


def test_whoever_or_whatever_is_unknown_is_refused_with_the_field(db: Session, ctx: Context) -> None:
    service_type_id, who = builders.service_type(db).id, builders.consultant(db).consultant_user_id
    for command, field in (
        (policy(uuid4(), service_type_id, horizon_days=3), "consultant_user_id"),
        (policy(who, uuid4(), horizon_days=3), "service_type_id"),
    ):
        outcome = service.set_consultant_policy(db, ctx, command)
        assert (outcome.result, outcome.errors[0].field) == ("refused", field)


@pytest.mark.parametrize(
    "own", [{"duration_minutes": 0}, {"max_sessions_per_day": 0}, {"horizon_days": 731}, {"price": 1}]
)
def test_what_is_out_of_range_is_refused(own: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        policy(uuid4(), uuid4(), **own)


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"minimum_notice_minutes": 2 * 1440}, "notice_too_short"),
        ({"horizon_days": 1}, "beyond_horizon"),
        ({"max_sessions_per_week": 1}, "limit_reached"),
        ({"max_minutes_per_day": 90}, "limit_reached"),
    ],
)
def test_a_refusal_by_a_policy_names_the_policy(
    db: Session, ctx: Context, columns: dict[str, int], code: str
) -> None:
    row, who = builders.service_type(db), builders.consultant(db).consultant_user_id
    opening = NOW + timedelta(days=1)
    builders.window(db, who, opening, hours=4)

    def hold(hour: int) -> Reservation | Refusal:
        return availability.hold_start(
            db,
            ctx,
            builders.request(db, row.id),
            who,
            opening + timedelta(hours=hour),
            NOW + timedelta(hours=1),
        )

    assert isinstance(hold(0), Reservation)
    for name, value in columns.items():
        setattr(row, name, value)
    db.flush()
    assert hold(2) == Refusal(code)


@pytest.mark.parametrize(
    ("limit", "hours_that_are_left"),
    [
        ({"max_sessions_per_day": 1}, {25}),
        ({"max_sessions_per_week": 1}, set()),
        ({"max_minutes_per_day": 119}, {25}),
        ({"max_minutes_per_day": 120}, {2, 25}),
        ({"max_minutes_per_week": 119}, set()),
        ({"max_minutes_per_day": 59}, set()),
    ],
)
def test_the_limits_of_a_consultant_count_every_service_type_held_or_booked(
    db: Session, ctx: Context, limit: dict[str, int], hours_that_are_left: set[int]
) -> None:
    who = builders.consultant(db, **limit).consultant_user_id
    first, second = (builders.service_type(db).id for _ in range(2))
    opening = NOW + timedelta(days=1)
    for start in (opening, opening + timedelta(days=1)):
        builders.window(db, who, start, hours=4)

    def hold(service_type_id: UUID, hour: int, minutes: int = 60) -> Reservation | Refusal:
        return availability.hold_start(
            db,
            ctx,
            builders.request(db, service_type_id),
            who,
            opening + timedelta(hours=hour),
            NOW + timedelta(minutes=minutes),
        )

    if limit != {"max_minutes_per_day": 59}:
        assert isinstance(hold(first, 0), Reservation)
    for hour in (2, 25):
        savepoint = db.begin_nested()
        assert hold(second, hour) == Refusal("limit_reached") or hour in hours_that_are_left
        savepoint.rollback()
    later = replace(ctx, now=NOW + timedelta(minutes=61))  # the hold is over, whoever has swept
    if limit != {"max_minutes_per_day": 59}:
        request = builders.request(db, second)
        again = availability.hold_start(
            db, later, request, who, opening + timedelta(hours=2), later.now + timedelta(hours=1)
        )
        assert isinstance(again, Reservation)


def test_a_consultant_may_want_to_confirm_what_others_do_not(db: Session, ctx: Context) -> None:
    service_type_id, who = builders.service_type(db).id, builders.consultant(db).consultant_user_id
    builders.window(db, who, NOW + timedelta(days=1))
    service.set_consultant_policy(db, ctx, policy(who, service_type_id, requires_confirmation=True))
    assert (
        assignment.assign(db, ctx, builders.request(db, service_type_id).id).result
        == "confirmation_requested"
    )
    service.set_consultant_policy(db, ctx, policy(who, service_type_id, requires_confirmation=False))
    assert assignment.assign(db, ctx, builders.request(db, service_type_id).id).result == "scheduled"
