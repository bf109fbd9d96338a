"""Searching: pages that neither repeat nor skip, days of the asker's zone, and why there is nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.availability.service import Refusal, Reservation
from booking_tasks.availability.store import free_starts_by_consultant
from booking_tasks.context import Context
from booking_tasks.contracts import SearchOutcome, SearchSlots
from booking_tasks.models import AvailabilitySlot, Consultant, ConsultantPolicy, SpecializationAlias
from booking_tasks.search import service
from tests import builders
from tests.builders import NOW

OPENING = NOW + timedelta(days=1)
HOUR = timedelta(hours=1)


class Practice:
    """Consultants with four hours tomorrow, and one kind of consultation of an hour."""

    def __init__(self, db: Session, ctx: Context, people: int, **service_type: Any) -> None:
        self.db, self.ctx = db, ctx
        self.service_type = builders.service_type(db, **service_type)
        self.people = [builders.consultant(db).consultant_user_id for _ in range(people)]
        for one in self.people:
            builders.window(db, one, OPENING, hours=4)

    def search(self, **query: Any) -> SearchOutcome:
        query_values = {
            "service_type_id": self.service_type.id,
            "start": NOW,
            "consultant_user_ids": self.people,
        } | query
        return service.search_slots(self.db, self.ctx, SearchSlots.model_validate(query_values))

    def pages(self, **query: Any) -> list[SearchOutcome]:
        found = [self.search(**query)]
        while found[-1].next:
            found.append(self.search(**query, after=found[-1].next))
        return found

    def hold(self, who: UUID, start: Any) -> None:
        request = builders.request(self.db, self.service_type.id)
        taken = availability.hold_start(self.db, self.ctx, request, who, start, NOW + HOUR)
        assert isinstance(taken, Reservation)


def test_pages_together_are_everything_once_and_in_order(db: Session, ctx: Context) -> None:
    practice = Practice(db, ctx, people=3)
    whole = practice.search(limit=500)
    assert len(whole.starts) == 3 * 7
    assert whole.next is None
    for limit in (1, 2, 4, 7, 20, 21):
        pages = practice.pages(limit=limit)
        assert [start for page in pages for start in page.starts] == list(whole.starts)
        assert [len(page.starts) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    order = [(one.start, one.consultant_user_id) for one in whole.starts]
    assert order == sorted(order)


def test_a_booking_between_two_pages_neither_repeats_nor_skips_a_start(db: Session, ctx: Context) -> None:
    practice = Practice(db, ctx, people=2)
    whole = practice.search(limit=500).starts
    first = practice.search(limit=5)
    practice.hold(first.starts[0].consultant_user_id, OPENING)
    rest = practice.search(limit=500, after=first.next).starts
    assert set(first.starts) & set(rest) == set()
    gone = {start for start in whole[5:] if start not in rest}
    assert {(one.consultant_user_id, one.start) for one in gone} <= {
        (first.starts[0].consultant_user_id, OPENING + HOUR / 2)
    }


def test_without_an_end_the_first_starts_are_found_however_far_they_lie(db: Session, ctx: Context) -> None:
    practice = Practice(db, ctx, people=1)
    builders.window(db, practice.people[0], NOW + timedelta(days=80), hours=1)
    found = practice.search(start=NOW + timedelta(days=2), limit=3)
    assert [one.start for one in found.starts] == [NOW + timedelta(days=80)]
    assert found.next is None


def test_days_are_those_of_the_requested_zone(db: Session, ctx: Context) -> None:
    practice = Practice(db, ctx, people=1)
    for zone, days in (
        ("UTC", {date(2027, 3, 2)}),
        ("Pacific/Kiritimati", {date(2027, 3, 2), date(2027, 3, 3)}),
    ):
        assert {one.day for one in practice.search(time_zone=zone).starts} == days


@pytest.mark.parametrize("after", ["", "nonsense", "bm90IGEgY3Vyc29y", "8J+SqQ=="])
def test_what_is_no_cursor_is_refused_with_the_field(after: str) -> None:
    with pytest.raises(ValidationError, match="is no cursor"):
        SearchSlots.model_validate({"service_type_id": uuid4(), "start": NOW, "after": after})


def test_an_unknown_service_type_is_refused_with_the_field(db: Session, ctx: Context) -> None:
    refused = Practice(db, ctx, people=1).search(service_type_id=uuid4())
    assert (refused.code, refused.errors[0].field) == ("unknown_service_type", "service_type_id")


def test_each_consultant_is_counted_once_by_the_furthest_they_came(db: Session, ctx: Context) -> None:
    practice = Practice(db, ctx, people=3, max_sessions_per_day=1, minimum_notice_minutes=60, horizon_days=30)
    limited, blocked, late = practice.people
    practice.hold(limited, OPENING)
    db.add(
        AvailabilitySlot(
            consultant_user_id=blocked,
            status="unavailable",
            source="leave",
            start_time=OPENING,
            end_time=OPENING + 4 * HOUR,
        )
    )
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
    assert found.empty_reason == "limit_reached"
    assert found.counts == {
        "no_skill": 1,
        "no_hours": 1,
        "beyond_horizon": 1,
        "notice_too_short": 1,
        "all_taken": 1,
        "limit_reached": 1,
    }


def test_a_range_that_is_over_says_so(db: Session, ctx: Context) -> None:
    practice = Practice(db, ctx, people=1)
    practice.ctx = replace(ctx, now=NOW + timedelta(days=9))
    assert practice.search(end=NOW + timedelta(days=2)).empty_reason == "range_over"


def _crowd(db: Session, ctx: Context, size: int, dice: Random) -> tuple[UUID, list[UUID]]:
    """Consultants with hours, blocks and policies of their own, some of them equal to each other's."""
    service_type = builders.service_type(db, minimum_notice_minutes=30).id
    people = [builders.consultant(db).consultant_user_id for _ in range(size)]
    quarter = timedelta(minutes=15)
    for one in people:
        for day in range(3):
            opens = NOW + timedelta(days=day) + dice.choice((0, 0, 0, 1, 2, 9)) * quarter
            closes = opens + dice.randint(1, 24) * quarter
            db.add(AvailabilitySlot(consultant_user_id=one, start_time=opens, end_time=closes))
            blocked = opens + dice.randint(0, 20) * quarter
            db.add(
                AvailabilitySlot(
                    consultant_user_id=one,
                    status="unavailable",
                    source="test",
                    start_time=blocked,
                    end_time=blocked + dice.randint(1, 30) * quarter,
                )
            )
        if dice.random() < 0.3:
            own = {
                "slot_step_minutes": dice.choice((15, 20, 45)),
                "minimum_notice_minutes": dice.choice((0, 900)),
            }
            if dice.random() < 0.5:
                own["horizon_days"] = 1
            db.add(ConsultantPolicy(consultant_user_id=one, consultation_service_type_id=service_type, **own))
    db.flush()
    return service_type, people


@pytest.mark.parametrize("seed", range(4))
def test_pages_over_a_crowd_are_what_the_judge_gives_in_order(db: Session, ctx: Context, seed: int) -> None:
    """More than a few are asked in lineups: none may be skipped, repeated or out of turn."""
    dice = Random(seed)
    service_type, people = _crowd(db, ctx, 75, dice)
    found = free_starts_by_consultant(db, people, service_type, NOW, NOW + timedelta(days=9), NOW)
    expected = sorted((start, who) for who, spans in found.items() for start, _ in spans)
    assert len(expected) > 500
    for limit, whose in ((1, ()), (7, ()), (50, ()), (500, ()), (7, tuple(people))):
        query = {"service_type_id": service_type, "start": NOW, "limit": limit, "consultant_user_ids": whose}
        pages, after = [], None
        while True:
            page = service.search_slots(db, ctx, SearchSlots.model_validate(query | {"after": after}))
            pages += [(one.start, one.consultant_user_id) for one in page.starts]
            after = page.next
            if after is None or len(pages) > 40 * limit:
                break
        assert pages == expected[: len(pages)]
        assert after is not None or len(pages) == len(expected)


def test_a_search_without_any_start_is_answered_quickly(db: Session, ctx: Context) -> None:
    """A day that is full for everybody is passed in a few steps, not one for each lineup."""
    service_type, people = _crowd(db, ctx, 75, Random(5))
    for one in people:
        db.add(
            AvailabilitySlot(
                consultant_user_id=one,
                status="unavailable",
                source="test",
                start_time=NOW,
                end_time=NOW + timedelta(days=2),
            )
        )
    db.flush()
    query = SearchSlots(service_type_id=service_type, start=NOW, limit=5)
    assert {one.day for one in service.search_slots(db, ctx, query).starts} == {date(2027, 3, 3)}
    over = SearchSlots(service_type_id=service_type, start=NOW, end=NOW + timedelta(days=1))
    assert service.search_slots(db, ctx, over).empty_reason == "all_taken"


def test_skills_are_found_in_any_case_and_by_any_alias(db: Session, ctx: Context) -> None:
    db.add_all(SpecializationAlias(alias=one, specialization="mathematics") for one in ("maths", "mathe"))
    practice = Practice(db, ctx, people=1)
    able = []
    for offered, is_able in (
        (["Maths", "LAW"], True),
        (["mathematics", "Straße", "law"], True),
        (["mathe"], False),
        (["law"], False),
    ):
        one = builders.consultant(db, specializations=offered).consultant_user_id
        builders.window(db, one, OPENING, hours=1)
        able += [one] if is_able else []

    def who(*expected: str, among: tuple[UUID, ...] = ()) -> list[UUID]:
        found = practice.search(required_specializations=expected, consultant_user_ids=among, limit=500)
        return sorted({one.consultant_user_id for one in found.starts})

    assert who("MATHE", "law") == sorted(able)
    assert who("mathe", "law", among=(able[0], practice.people[0])) == able[:1]
    assert who("STRASSE") == able[1:]
    assert who("alchemy") == []


def test_nobody_is_offered_or_held_for_a_service_type_that_they_do_not_offer(
    db: Session, ctx: Context
) -> None:
    practice = Practice(db, ctx, people=2)
    other = builders.service_type(db).id
    mine, theirs = practice.people
    for one, kinds in ((mine, [practice.service_type.id, other]), (theirs, [other])):
        db.get_one(Consultant, one).service_type_ids = kinds
    db.flush()
    assert {one.consultant_user_id for one in practice.search().starts} == {mine}
    assert practice.search(consultant_user_ids=(theirs,)).empty_reason == "no_consultant"
    request = builders.request(db, practice.service_type.id)
    held = availability.hold_start(db, ctx, request, theirs, OPENING, NOW + HOUR)
    assert held == Refusal("service_not_offered")


# -- whom the consultant serves, and how many they may have ----------------------------------------------


def test_consultants_of_companies_are_found_for_these_alone(db: Session, ctx: Context) -> None:
    practice = Practice(db, ctx, people=3)
    mine, theirs = uuid4(), uuid4()
    for who, companies in zip(practice.people, ([mine, theirs], [theirs], None), strict=True):
        db.get_one(Consultant, who).company_ids = companies
    db.flush()

    def found(company: UUID | None) -> set[UUID]:
        return {one.consultant_user_id for one in practice.search(company_id=company, limit=500).starts}

    first, second, anybody = practice.people
    assert found(mine) == {first, anybody}
    assert found(theirs) == {first, second, anybody}
    assert found(uuid4()) == {anybody}
    assert found(None) == {anybody}


def test_who_is_at_capacity_is_not_found_until_something_ends(db: Session, ctx: Context) -> None:
    practice = Practice(db, ctx, people=2)
    full, free = practice.people
    db.get_one(Consultant, full).assignment_capacity = 1
    db.flush()
    assert {one.consultant_user_id for one in practice.search(limit=500).starts} == {full, free}
    practice.hold(full, OPENING)
    assert {one.consultant_user_id for one in practice.search(limit=500).starts} == {free}
    practice.ctx = replace(ctx, now=NOW + 2 * HOUR)
    assert {one.consultant_user_id for one in practice.search(limit=500).starts} == {full, free}


def test_an_empty_search_counts_companies_and_capacity(db: Session, ctx: Context) -> None:
    practice = Practice(db, ctx, people=3)
    exclusive, full, unskilled = practice.people
    db.get_one(Consultant, exclusive).company_ids = [uuid4()]
    db.get_one(Consultant, full).assignment_capacity = 1
    db.get_one(Consultant, unskilled).specializations = ["chess"]
    db.flush()
    practice.hold(full, OPENING)
    outcome = practice.search(required_specializations=("algebra",))
    assert outcome.starts == ()
    assert outcome.counts == {"not_for_company": 1, "no_skill": 1, "at_capacity": 1}
    assert outcome.empty_reason == "at_capacity"


def test_a_search_behind_the_known_hours_is_beyond_the_horizon(db: Session, ctx: Context) -> None:
    practice = Practice(db, ctx, people=1, horizon_days=400)
    assert practice.search(start=NOW + timedelta(days=200)).empty_reason == "beyond_horizon"
    assert practice.search(start=NOW + timedelta(days=50)).empty_reason == "no_hours"
