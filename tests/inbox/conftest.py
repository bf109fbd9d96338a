"""The fixtures of the inbox: a service type, and a use case that fails."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.inbox import receiver
from booking_tasks.kit.database import transaction
from tests import builders


@pytest.fixture
def service_type() -> UUID:
    with transaction() as db:
        return builders.service_type(db).id


@pytest.fixture
def failing_use_case(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """submit_request fails as often as the list says, then works; the list counts the runs."""
    real = receiver._use_cases["submit_request"]
    runs: list[int] = [0, 99]

    def use_case(db: Session, ctx: Context, command: Any) -> Any:
        runs[0] += 1
        answer = real(db, ctx, command)
        if runs[0] <= runs[1]:
            raise RuntimeError("the worker dies here, all its work done and nothing committed")
        return answer

    monkeypatch.setitem(receiver._use_cases, "submit_request", use_case)
    return runs
