"""The day on which Okafor is away."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from tests import builders
from tests.absence.scene import DAY, HOUR, TEN, Day, colleague, meeting


@pytest.fixture
def day(db: Session) -> Day:
    kind = builders.service_type(db).id
    okafor = colleague(db, (TEN - HOUR, 8), specializations=["algebra", "topology"])
    stein = colleague(db, (TEN, 1), (TEN + DAY, 4))
    first, second = (meeting(db, okafor, kind, TEN + hours * HOUR) for hours in range(2))
    third = meeting(db, okafor, kind, TEN + 2 * HOUR, required_specializations=["topology"])
    return Day(kind, okafor, stein, first, second, third)
