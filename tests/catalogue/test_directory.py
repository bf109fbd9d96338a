"""The directory's copy of people."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy.orm import Session

from booking_tasks.catalogue import directory as service
from booking_tasks.catalogue import tasks as directory_tasks
from booking_tasks.context import Context
from booking_tasks.contracts import UpsertUser
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import DirectoryUser
from tests.builders import NOW


def person(user_id: UUID, **values: Any) -> UpsertUser:
    fields = {"name": "Mira Lang", "email": "mira@example.org", "time_zone": "Europe/Vienna"} | values
    return UpsertUser(message_id=uuid4(), actor="iam", user_id=user_id, **fields)


def test_a_person_is_stored_changed_and_left_alone(db: Session, ctx: Context) -> None:
    one, later = uuid7(), replace(ctx, now=NOW + timedelta(days=3))
    assert service.upsert_user(db, ctx, person(one)).result == "done"
    assert service.upsert_user(db, later, person(one)).result == "already_done"
    assert (
        service.upsert_user(db, later, person(one, email="lang@example.org", language="de")).result == "done"
    )
    stored = db.get_one(DirectoryUser, one, populate_existing=True)
    assert (stored.name, stored.email, stored.time_zone, stored.language) == (
        "Mira Lang",
        "lang@example.org",
        "Europe/Vienna",
        "de",
    )
    assert (stored.created_at, stored.updated_at) == (NOW, later.now)


def test_an_address_that_could_break_a_mail_header_is_refused(own_database: str, valkey: str) -> None:
    message = person(uuid7()).model_dump(mode="json") | {"email": "mira@example.org>\r\nBcc: all@example.org"}
    answer = directory_tasks.upsert_user(request=message)
    assert (answer["code"], answer["errors"][0]["field"]) == ("invalid", "email")


@pytest.mark.parametrize(
    "address",
    [
        "booking@example.org",
        "BOOKING@Example.ORG",
        "booking+reply@example.org",
        "Booking+a+b@example.org",
        "bounce+0a1b2c@example.org",
        "bounces@example.org",
    ],
)
def test_the_address_of_the_service_is_refused_with_the_name_of_the_field(
    db: Session, ctx: Context, address: str
) -> None:
    one = uuid7()
    outcome = service.upsert_user(db, ctx, person(one, email=address))

    assert (outcome.result, outcome.code) == ("refused", "address_of_service")
    assert outcome.errors[0].field == "email"
    assert db.get(DirectoryUser, one) is None


@pytest.mark.parametrize(
    "address", ["booking@example.com", "bookings@example.org", "x+booking@example.org", "bounce@example.com"]
)
def test_an_address_that_only_resembles_that_of_the_service_is_stored(
    db: Session, ctx: Context, address: str
) -> None:
    assert service.upsert_user(db, ctx, person(uuid7(), email=address)).result == "done"


def test_the_service_may_have_an_address_with_a_detail_itself(db: Session, ctx: Context) -> None:
    own = replace(ctx, policies=replace(ctx.policies, mail_address="desk+booking@Example.org"))

    assert service.upsert_user(db, own, person(uuid7(), email="desk@example.org")).result == "refused"
    assert service.upsert_user(db, own, person(uuid7(), email="booking@example.org")).result == "done"


@pytest.mark.parametrize(
    "address",
    [
        "a..b@example.org",
        ".a@example.org",
        "a.@example.org",
        "a@-example.org",
        "a@example..org",
        "a@localhost",
        "Mira <mira@example.org>",
        "mira@exämple.org",
        "m" * 65 + "@example.org",
    ],
)
def test_an_address_that_no_mail_can_reach_is_refused_on_input(address: str) -> None:
    with pytest.raises(ValidationError) as refused:
        person(uuid7(), email=address)
    assert [problem["loc"] for problem in refused.value.errors()] == [("email",)]
