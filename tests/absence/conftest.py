"""The day on which Okafor is away."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from tests import builders
from tests.absence.scenario import DAY, HOUR, TEN, Day, colleague, meeting


@pytest.fixture
def day(db: Session) -> Day:
    service_type_id = builders.service_type(db).id
    okafor = colleague(db, (TEN - HOUR, 8), specializations=["algebra", "topology"])
    stein = colleague(db, (TEN, 1), (TEN + DAY, 4))
    first, second = (meeting(db, okafor, service_type_id, TEN + hours * HOUR) for hours in range(2))
    third = meeting(db, okafor, service_type_id, TEN + 2 * HOUR, required_specializations=["topology"])
    return Day(service_type_id, okafor, stein, first, second, third)
