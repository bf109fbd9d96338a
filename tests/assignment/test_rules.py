"""Who can and who should: every term by itself, ties, and what the defaults promise."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from booking_tasks.assignment.rules import (
    REASONS,
    Candidate,
    Circumstances,
    Criteria,
    Profile,
    earliness,
    exclusion_reason,
    has_language,
    ineligibility_reason,
    local_time_suitability,
    ranked,
    score_terms,
    scored_candidates,
    specialization_closeness,
    total_score,
    unassigned_reason,
)
from booking_tasks.context import Weights
from booking_tasks.credits.rules import Balance
from booking_tasks.enums import Term
from tests.builders import NOW

SERVICE_TYPE, COMPANY = UUID(int=101), UUID(int=102)
HOUR = timedelta(hours=1)


def criteria_of(**values: Any) -> Criteria:
    return Criteria(**({"requester_user_id": UUID(int=1), "service_type_id": SERVICE_TYPE} | values))


def profile(number: int = 7, **values: Any) -> Profile:
    return Profile(UUID(int=number), **values)


def about(**values: Any) -> Circumstances:
    defaults: dict[str, Any] = {
        "criteria": criteria_of(),
        "since": NOW,
        "until": None,
        "requester_zone": UTC,
        "known": {},
        "aliases": {},
    }
    return Circumstances(**(defaults | values))


def candidate(number: int, hour: float = 1, **values: Any) -> Candidate:
    start = NOW + timedelta(hours=hour)
    return Candidate(UUID(int=number), values.pop("preferred", False), 0, ((start, start + HOUR),), **values)


@pytest.mark.parametrize(
    ("reason", "consultant", "criteria"),
    [
        ("not_available_for_booking", {"is_available_for_booking": False}, {}),
        ("is_the_requester", {}, {"requester_user_id": UUID(int=7)}),
        ("service_not_offered", {"service_type_ids": frozenset({UUID(int=9)})}, {}),
        ("service_not_offered", {"service_type_ids": frozenset()}, {}),
        ("not_for_company", {"company_ids": frozenset({UUID(int=9)})}, {"company_id": COMPANY}),
        ("not_for_company", {"company_ids": frozenset({COMPANY})}, {}),
        ("missing_specialization", {"specializations": ("law",)}, {"required_specializations": ("Algebra",)}),
        ("missing_language", {"languages": ("en",)}, {"languages": ("de", "fr")}),
        ("missing_language", {}, {"languages": ("de",)}),
        (None, {}, {}),
        (None, {"service_type_ids": frozenset({SERVICE_TYPE})}, {}),
        (None, {"company_ids": frozenset({COMPANY})}, {"company_id": COMPANY}),
        (None, {"specializations": ("ALGEBRA", "law")}, {"required_specializations": ("algebra",)}),
        (None, {"languages": ("de-AT",)}, {"languages": ("fr", "de")}),
    ],
)
def test_an_ineligible_candidate_has_its_first_reason(
    reason: str | None, consultant: dict[str, Any], criteria: dict[str, Any]
) -> None:
    assert ineligibility_reason(profile(**consultant), criteria_of(**criteria)) == reason


def test_the_reasons_come_in_the_order_of_the_table() -> None:
    everything = profile(
        is_available_for_booking=False, service_type_ids=frozenset(), company_ids=frozenset()
    )
    nothing_fits = criteria_of(
        requester_user_id=UUID(int=7), required_specializations=("algebra",), languages=("de",)
    )
    found = []
    repaired: dict[str, Any] = {
        "not_available_for_booking": {"is_available_for_booking": True},
        "service_not_offered": {"service_type_ids": None},
        "not_for_company": {"company_ids": None},
        "missing_specialization": {"specializations": ("algebra",)},
        "missing_language": {"languages": ("de",)},
    }
    values = {name: getattr(everything, name) for name in Profile.__dataclass_fields__}
    while (reason := ineligibility_reason(Profile(**values), nothing_fits)) is not None:
        found.append(reason)
        if reason == "is_the_requester":
            nothing_fits = criteria_of(required_specializations=("algebra",), languages=("de",))
        else:
            values |= repaired[reason]
    assert found == list(REASONS[: len(found)])


def test_a_specialization_is_known_by_all_its_names() -> None:
    aliases = {"maths": "mathematics", "math": "mathematics"}
    one = profile(specializations=("Math",))
    assert ineligibility_reason(one, criteria_of(required_specializations=("MATHS",)), aliases) is None
    assert (
        ineligibility_reason(one, criteria_of(required_specializations=("MATHS",)))
        == "missing_specialization"
    )


def test_a_region_is_not_served_by_the_language_alone() -> None:
    assert has_language(["de"], ["de"])
    assert has_language(["de-AT"], ["DE"])
    assert not has_language(["de"], ["de-AT"])
    assert not has_language(["den"], ["de"])


def test_the_requesters_word_excludes_waits_or_allows_anyone() -> None:
    preferred, other = profile(7), profile(8)
    until = criteria_of(preferred=UUID(int=7), fallback="wait", fallback_after=NOW + HOUR)
    assert exclusion_reason(other, until, NOW) == "waits_for_preferred"
    assert exclusion_reason(other, until, NOW + HOUR) is None
    only = criteria_of(preferred=UUID(int=7), fallback="only")
    assert exclusion_reason(other, only, NOW) == "not_the_preferred"
    assert exclusion_reason(preferred, only, NOW) is None
    assert exclusion_reason(other, criteria_of(preferred=UUID(int=7)), NOW) is None
    assert exclusion_reason(other, criteria_of(excluded=frozenset({UUID(int=8)})), NOW) == "excluded"


def test_an_empty_choice_names_how_far_anyone_came() -> None:
    unskilled = Candidate(uuid4(), False, 0, rejected="missing_specialization")
    full = Candidate(uuid4(), False, 0, rejected="no_free_time")
    away = Candidate(uuid4(), False, 0, rejected="not_available_for_booking")
    assert unassigned_reason([]) == unassigned_reason([away]) == "no_consultant"
    assert unassigned_reason([unskilled, away]) == "missing_specialization"
    assert unassigned_reason([full, unskilled]) == "no_free_time"


def test_earlier_is_better_inside_the_window_and_ever_less_without_an_end() -> None:
    until = NOW + timedelta(hours=10)
    assert [earliness(NOW + h * HOUR, NOW, until) for h in (-1, 0, 5, 10, 11)] == [1, 1, 0.5, 0, 0]
    assert [earliness(NOW + timedelta(days=d), NOW, None) for d in (0, 1, 3)] == [1, 0.5, 0.25]


def test_a_night_suits_nobody_and_a_day_must_suit_both() -> None:
    at = [local_time_suitability(datetime(2027, 3, 1, hour, tzinfo=UTC)) for hour in (3, 4, 6, 8, 20, 22)]
    assert at == [0, 0, 0.5, 1, 1, 0.5]
    tokyo = about(requester_zone=ZoneInfo("Asia/Tokyo"))
    noon = datetime(2027, 3, 1, 12, tzinfo=UTC)  # 21 o'clock in Tokyo, 22 at the end
    terms = score_terms(profile(), noon, noon + HOUR, ZoneInfo("UTC"), 0, tokyo)
    assert terms[Term.LOCAL_TIME] == 0.5


def test_who_has_just_what_is_required_comes_before_the_generalist() -> None:
    evaluated = about(
        criteria=criteria_of(required_specializations=("maths",)), aliases={"maths": "mathematics"}
    )
    assert specialization_closeness(profile(specializations=("Mathematics",)), evaluated) == 1
    assert specialization_closeness(profile(specializations=("mathematics", "law", "LAW")), evaluated) == 0.5


def test_every_term_lies_between_nought_and_one() -> None:
    chance = random.Random(5)
    for _ in range(500):
        one = profile(tier=chance.randint(1, 5), specializations=tuple("abcd"[: chance.randint(0, 4)]))
        start = NOW + timedelta(minutes=chance.randint(-500, 200_000))
        until = chance.choice([None, NOW + timedelta(minutes=chance.randint(1, 100_000))])
        found = about(until=until, known={one.consultant_user_id: chance.choice([0.0, 0.5, 1.0])})
        terms = score_terms(one, start, start + HOUR, ZoneInfo("Asia/Tokyo"), chance.randint(0, 9), found)
        assert tuple(terms) == tuple(Term)
        assert all(0 <= value <= 1 for value in terms.values())


def _choose(
    candidates: list[Candidate],
    profiles: Mapping[UUID, Profile] | None = None,
    standings: Mapping[UUID, Balance] | None = None,
    **values: Any,
) -> list[int]:
    people = {one.consultant_user_id: Profile(one.consultant_user_id) for one in candidates}
    people |= profiles or {}
    made = scored_candidates(candidates, people, standings or {}, about(**values), Weights())
    return [one.consultant_user_id.int for one in ranked(made)]


def test_preferred_then_tier_then_turn_then_earliest() -> None:
    """Each of the five is the best in everything below what decides against it."""
    preferred, tier, turn, early = (UUID(int=number) for number in range(1, 5))
    people = {tier: Profile(tier, tier=2)}
    people |= {preferred: Profile(preferred, tier=5, specializations=("a", "b", "c"))}
    standings = {
        who: Balance(Decimal(had)) for who, had in ((preferred, 9), (tier, 5), (turn, 3), (early, 4))
    }
    found = _choose(
        [candidate(1, 90), candidate(2, 50), candidate(3, 40), candidate(4, 1)],
        people,
        standings,
        criteria=criteria_of(preferred=preferred),
        known={early: 1.0},
    )
    assert found == [1, 2, 3, 4]
    assert _choose([candidate(3, 2), candidate(2, 1), candidate(1, 1)]) == [1, 2, 3]


def test_equals_go_to_the_longest_idle_then_the_earliest_then_the_lower_id_in_any_order_of_rows() -> None:
    first, second, third = (candidate(number, total=1.0) for number in (1, 2, 3))
    idle = candidate(4, total=1.0, idle_since=NOW - HOUR)
    busy = candidate(5, total=1.0, idle_since=NOW)
    late = candidate(6, hour=2, total=1.0, idle_since=NOW - HOUR)
    for order in permutations([first, second, third, idle, busy, late]):
        assert [one.consultant_user_id.int for one in ranked(order)] == [1, 2, 3, 4, 6, 5]


def test_the_defaults_rank_strictly() -> None:
    """A step of one term outweighs everything below it at its best."""
    weights = Weights().by_term()
    steps = {"preference": 1.0, "priority": 0.25, "fairness": 0.5}
    names: list[str] = list(Term)
    for term, step in steps.items():
        below = names[names.index(term) + 1 :]
        assert weights[term] * step > sum(weights[one] for one in below), term
    assert total_score(dict.fromkeys(Term, 1.0), Weights()) == sum(weights.values())


@pytest.mark.parametrize(
    ("defaults", "fault"),
    [
        ({"fairness": -1.0}, "fairness must be zero or more"),
        ({"earliest": float("nan")}, "earliest must be zero or more"),
        (dict.fromkeys(Term, 0.0), "at least one weight must be above zero"),
    ],
)
def test_weights_that_cannot_rank_are_named(defaults: dict[str, float], fault: str) -> None:
    found = Weights().with_changes(defaults).problem
    assert found is not None
    assert found.startswith(fault)
    with pytest.raises(ValueError, match="there is no term speed; the terms are preference"):
        Weights().with_changes({"speed": 1.0})
