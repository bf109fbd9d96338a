"""The check of the directory counts active people whom no mail can reach, and shows ids, never addresses."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import delete

from booking_tasks.kit.database import transaction
from booking_tasks.kit.database_urls import libpq_url
from booking_tasks.kit.settings import load_settings
from booking_tasks.models import DirectoryUser
from booking_tasks.ops.check_people import addresses
from booking_tasks.ops.findings import Finding
from tests import builders
from tests.builders import NOW

UNUSABLE = "nobody@localhost"


def found(url: str) -> Finding:
    with psycopg.connect(libpq_url(url)) as db:
        [one] = addresses(load_settings(), db)
    return one


def a_consultant(db: Any) -> UUID:
    return builders.consultant(db).consultant_user_id


def who_waits(db: Any) -> UUID:
    return builders.request(db, builders.service_type(db).id).requester_user_id


def who_has_a_session(db: Any) -> UUID:
    return builders.booked_session(db, NOW).requester_user_id


@pytest.mark.parametrize("active", [a_consultant, who_waits, who_has_a_session])
@pytest.mark.parametrize("address", [UNUSABLE, "Booking+detail@example.org"])
def test_an_active_person_whom_no_mail_can_reach_is_shown_by_id(
    own_database: str, active: Any, address: str
) -> None:
    with transaction() as db:
        who = active(db)
        db.execute(delete(DirectoryUser).where(DirectoryUser.user_id == who))
        builders.user(db, user_id=who, email=address)

    one = found(own_database)

    assert (one.check, one.state, one.remedy) == (
        "addresses",
        "warning",
        "correct their addresses by upsert_user",
    )
    assert one.seen == f"no mail can reach 1 active people of the directory: {who}"


def test_many_are_counted_and_the_first_shown(own_database: str) -> None:
    with transaction() as db:
        ids = sorted(a_consultant(db) for _ in range(7))
        for who in ids:
            builders.user(db, user_id=who, email=UNUSABLE)

    shown = ", ".join(str(one) for one in ids[:5])
    assert found(own_database).seen == (
        f"no mail can reach 7 active people of the directory: {shown} and 2 more"
    )


def test_who_is_not_active_or_can_be_reached_is_not_counted(own_database: str) -> None:
    with transaction() as db:
        builders.user(db, email=UNUSABLE)
        builders.user(db, user_id=a_consultant(db))
        gone = builders.consultant(db, is_available_for_booking=False).consultant_user_id
        builders.user(db, user_id=gone, email=UNUSABLE)
        builders.request(db, builders.service_type(db).id)

    assert (found(own_database).state, found(own_database).remedy) == ("ok", "")
