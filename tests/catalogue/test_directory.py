"""The directory's copy of people."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

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
