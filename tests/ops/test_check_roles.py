"""The check of PostgreSQL's roles, on a cluster whose roles an older release made."""

from __future__ import annotations

import psycopg

from booking_tasks.kit.database_urls import libpq_url
from booking_tasks.ops.check_roles import roles
from booking_tasks.ops.findings import Finding, State
from tests.accounts import without_web


def found(url: str) -> list[Finding]:
    with psycopg.connect(libpq_url(url)) as db:
        return list(roles(db))


def test_a_missing_role_of_the_pages_is_a_warning_with_its_remedy(own_database: str, postgres: str) -> None:
    assert found(own_database) == []
    with psycopg.connect(postgres, autocommit=True) as superuser, without_web(superuser):
        [one] = found(own_database)
    assert (one.check, one.state) == ("roles", State.WARNING)
    assert one.seen == "the role booking_web does not exist, as which booking-tasks web connects"
    assert one.remedy.startswith("run what booking-tasks roles prints as superuser")
