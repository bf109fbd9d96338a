"""Searching: pages that neither repeat nor skip, days of the asker's zone, and why there is nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.availability.service import Taken
from booking_tasks.contracts import SearchOutcome, SearchSlots
from booking_tasks.models import AvailabilitySlot
from booking_tasks.occasion import Occasion
from booking_tasks.search import service
from tests import builders
from tests.builders import NOW

OPENING = NOW + timedelta(days=1)
HOUR = timedelta(hours=1)


class Practice:
    """Consultants with four hours tomorrow, and one kind of consultation of an hour."""

    def __init__(self, db: Session, moment: Occasion, people: int, **kind: Any) -> None:
        self.db, self.moment = db, moment
        self.kind = builders.service_type(db, **kind)
        self.people = [builders.consultant(db).consultant_user_id for _ in range(people)]
        for one in self.people:
            builders.window(db, one, OPENING, hours=4)

    def search(self, **query: Any) -> SearchOutcome:
        given = {"service_type_id": self.kind.id, "start": NOW, "consultant_user_ids": self.people} | query
        return service.search_slots(self.db, self.moment, SearchSlots.model_validate(given))

    def pages(self, **query: Any) -> list[SearchOutcome]:
        found = [self.search(**query)]
        while found[-1].next:
            found.append(self.search(**query, after=found[-1].next))
        return found

    def hold(self, who: UUID, start: Any) -> None:
        request = builders.request(self.db, self.kind.id)
        taken = availability.hold(self.db, self.moment, request, who, start, NOW + HOUR)
        assert isinstance(taken, Taken)


def test_pages_together_are_everything_once_and_in_order(db: Session, moment: Occasion) -> None:
    practice = Practice(db, moment, people=3)
    whole = practice.search(limit=500)
    assert len(whole.starts) == 3 * 7
    assert whole.next is None
    for limit in (1, 2, 4, 7, 20, 21):
        pages = practice.pages(limit=limit)
        assert [start for page in pages for start in page.starts] == list(whole.starts)
        assert [len(page.starts) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    order = [(one.start, one.consultant_user_id) for one in whole.starts]
    assert order == sorted(order)


def test_a_booking_between_two_pages_neither_repeats_nor_skips_a_start(db: Session, moment: Occasion) -> None:
    practice = Practice(db, moment, people=2)
    whole = practice.search(limit=500).starts
    first = practice.search(limit=5)
    practice.hold(first.starts[0].consultant_user_id, OPENING)
    rest = practice.search(limit=500, after=first.next).starts
    assert set(first.starts) & set(rest) == set()
    gone = {start for start in whole[5:] if start not in rest}
    assert {(one.consultant_user_id, one.start) for one in gone} <= {
        (first.starts[0].consultant_user_id, OPENING + HOUR / 2)
    }


def test_without_an_end_the_first_starts_are_found_however_far_they_lie(
    db: Session, moment: Occasion
) -> None:
    practice = Practice(db, moment, people=1)
    builders.window(db, practice.people[0], NOW + timedelta(days=80), hours=1)
    found = practice.search(start=NOW + timedelta(days=2), limit=3)
    assert [one.start for one in found.starts] == [NOW + timedelta(days=80)]
    assert found.next is None


def test_days_are_those_of_the_zone_that_was_asked_for(db: Session, moment: Occasion) -> None:
    practice = Practice(db, moment, people=1)
    for zone, days in (
        ("UTC", {date(2027, 3, 2)}),
        ("Pacific/Kiritimati", {date(2027, 3, 2), date(2027, 3, 3)}),
    ):
        assert {one.day for one in practice.search(time_zone=zone).starts} == days


@pytest.mark.parametrize("after", ["", "nonsense", "bm90IGEgY3Vyc29y", "8J+SqQ=="])
def test_what_is_no_cursor_is_refused_with_the_field(after: str) -> None:
    with pytest.raises(ValidationError, match="is no cursor"):
        SearchSlots.model_validate({"service_type_id": uuid4(), "start": NOW, "after": after})


def test_an_unknown_kind_is_refused_with_the_field(db: Session, moment: Occasion) -> None:
    refused = Practice(db, moment, people=1).search(service_type_id=uuid4())
    assert (refused.code, refused.errors[0].field) == ("unknown_service_type", "service_type_id")


def test_each_consultant_is_counted_once_by_the_furthest_they_came(db: Session, moment: Occasion) -> None:
    practice = Practice(
        db, moment, people=3, max_sessions_per_day=1, minimum_notice_minutes=60, horizon_days=30
    )
    limited, blocked, late = practice.people
    practice.hold(limited, OPENING)
    db.add(
        AvailabilitySlot(
            consultant_user_id=blocked, status="unavailable", source="leave", start_time=OPENING,
            end_time=OPENING + 4 * HOUR,
        )
    )  # fmt: skip
    builders.window(db, late, NOW, hours=1)
    row = db.query(AvailabilitySlot).filter_by(consultant_user_id=late, start_time=OPENING).one()
    db.delete(row)
    idle, far = (builders.consultant(db).consultant_user_id for _ in range(2))
    builders.window(db, far, NOW + timedelta(days=60))
    unskilled = builders.consultant(db, specializations=["law"]).consultant_user_id
    found = practice.search(
        consultant_user_ids=(*practice.people, idle, far, unskilled), required_specializations=("algebra",)
    )
    assert found.starts == ()
    assert found.nothing_because == "limit_reached"
    assert found.counts == {
        "no_skill": 1, "no_hours": 1, "beyond_horizon": 1, "notice_too_short": 1, "all_taken": 1,
        "limit_reached": 1,
    }  # fmt: skip


def test_a_range_that_is_over_says_so(db: Session, moment: Occasion) -> None:
    practice = Practice(db, moment, people=1)
    practice.moment = replace(moment, now=NOW + timedelta(days=9))
    assert practice.search(end=NOW + timedelta(days=2)).nothing_because == "range_over"
