"""The office that the room's tests share."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from tests.intake.office import Office


@pytest.fixture
def office(db: Session, ctx: Context) -> Office:
    return Office(db, ctx)
