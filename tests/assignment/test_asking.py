"""Asking for a consultation: what contradicts itself is refused at the door."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.assignment import asking
from booking_tasks.contracts import RequestOutcome, SubmitRequest
from booking_tasks.models import ConsultationRequest
from booking_tasks.occasion import Occasion
from tests import builders
from tests.builders import NOW


def _asked(db: Session, moment: Occasion, kind: UUID, **values: Any) -> RequestOutcome:
    return asking.submit(
        db,
        moment,
        SubmitRequest(
            message_id=uuid4(), actor="mira", request_id=uuid4(), requester_user_id=uuid4(),
            service_type_id=kind, **values,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("fallback", {"preferred": False, "fallback": "only"}),
        ("fallback", {"preferred": False, "fallback": "wait", "fallback_after": NOW + timedelta(hours=1)}),
        ("fallback_after", {"fallback": "wait"}),
        ("fallback_after", {"fallback": "wait", "fallback_after": NOW}),
        ("fallback_after", {"fallback": "wait", "fallback_after": NOW + timedelta(hours=48)}),
        ("fallback_after", {"fallback": "only", "fallback_after": NOW + timedelta(hours=1)}),
        ("fallback_after", {"fallback_after": NOW + timedelta(hours=1)}),
        ("excluded_consultant_user_ids", {"excluded": True, "fallback": "only"}),
        ("excluded_consultant_user_ids", {"excluded": True}),
    ],
)
def test_a_preference_that_contradicts_itself_is_refused_with_field_and_reason(
    db: Session, moment: Occasion, field: str, given: dict[str, Any]
) -> None:
    kind, who = builders.service_type(db).id, builders.consultant(db).consultant_user_id
    builders.consultant(db)
    values = {name: value for name, value in given.items() if name.startswith("fallback")}
    if given.get("preferred", True):
        values["preferred_consultant_user_id"] = who
    if given.get("excluded"):
        values["excluded_consultant_user_ids"] = [who]
    outcome = _asked(db, moment, kind, **values)
    assert (outcome.result, outcome.code) == ("refused", "contradictory_preference")
    assert [one.field for one in outcome.errors] == [field]
    assert db.scalars(select(ConsultationRequest)).all() == []


def test_only_one_who_cannot_is_refused_and_one_who_may_come_back_is_waited_for(
    db: Session, moment: Occasion
) -> None:
    kind = builders.service_type(db).id
    lawyer = builders.consultant(db, specializations=["law"]).consultant_user_id
    away = builders.consultant(db, is_available_for_booking=False).consultant_user_id
    for who, code in ((lawyer, "preferred_cannot"), (away, None)):
        outcome = _asked(
            db, moment, kind, fallback="only", preferred_consultant_user_id=who,
            required_specializations=["algebra"],
        )  # fmt: skip
        assert outcome.code == code
    outcome = _asked(db, moment, kind, fallback="only", preferred_consultant_user_id=lawyer)
    assert outcome.result == "done"


def test_an_exclusion_that_leaves_nobody_is_refused(db: Session, moment: Occasion) -> None:
    kind = builders.service_type(db).id
    fit = [builders.consultant(db).consultant_user_id for _ in range(2)]
    builders.consultant(db, service_type_ids=[])
    assert _asked(db, moment, kind, excluded_consultant_user_ids=fit).code == "nobody_left"
    assert _asked(db, moment, kind, excluded_consultant_user_ids=fit[:1]).result == "done"
