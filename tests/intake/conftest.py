"""The office that the room's tests share."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from booking_tasks.context import Occasion
from tests.intake.office import Office


@pytest.fixture
def office(db: Session, moment: Occasion) -> Office:
    return Office(db, moment)
