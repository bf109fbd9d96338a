"""The scenario that the room's tests share."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from tests.intake.confirmation_scenario import ConfirmationScenario


@pytest.fixture
def scenario(db: Session, ctx: Context) -> ConfirmationScenario:
    return ConfirmationScenario(db, ctx)
