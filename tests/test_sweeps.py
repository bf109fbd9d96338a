"""Sweeps that work through a list."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import Consultant
from booking_tasks.unit_of_work import for_each_in_own_transaction


@pytest.mark.usefixtures("own_database", "valkey")
def test_a_subject_that_fails_leaves_nothing_and_holds_up_no_other() -> None:
    subjects = [uuid7() for _ in range(3)]

    def step(db: Session, ctx: Context, subject: UUID) -> None:
        db.add(Consultant(consultant_user_id=subject))
        db.flush()
        if subject == subjects[1]:
            raise RuntimeError("this one cannot be done")

    assert for_each_in_own_transaction(subjects, step) == 2
    with transaction() as db:
        assert set(db.scalars(select(Consultant.consultant_user_id))) == {subjects[0], subjects[2]}
