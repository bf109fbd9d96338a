"""Who is asked about which start, and in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from uuid import UUID

from booking_tasks.context import Weights
from booking_tasks.offers.rules import cooldown, effective_state, offer_end
from booking_tasks.waiting.rules import WaitingRequest, best_first, matching_starts, waiting_terms
from tests.builders import NOW

SERVICE_TYPE, OTHER_SERVICE_TYPE = UUID(int=100), UUID(int=101)
HOUR = timedelta(hours=1)
DAY = NOW + timedelta(days=1)


def waiting(name: int, *, waits: int = 1, prefers: bool = False, **values: object) -> WaitingRequest:
    values.setdefault("terms", waiting_terms(preferred=prefers, familiarity=0, closeness=1))
    return WaitingRequest(UUID(int=name), SERVICE_TYPE, NOW - waits * HOUR, weights=Weights(), **values)  # type: ignore[arg-type]


def test_the_highest_score_then_who_waits_longest_then_the_id_comes_first() -> None:
    final_state = waiting(9, prefers=True)
    longest, twin, later = waiting(5, waits=3), waiting(6, waits=3), waiting(1, waits=2)
    for order in permutations([later, twin, final_state, longest]):
        assert best_first(order) == [final_state, longest, twin, later]


def test_the_weights_of_the_service_type_set_how_much_continuity_counts() -> None:
    stranger = waiting(1, waits=9, terms=waiting_terms(preferred=False, familiarity=0, closeness=1))
    friend = waiting(2, terms=waiting_terms(preferred=False, familiarity=1, closeness=0.5))
    assert best_first([stranger, friend]) == [friend, stranger]
    only_skill = Weights().with_changes({"continuity": 0})
    assert best_first([replace(stranger, weights=only_skill), replace(friend, weights=only_skill)])[
        0
    ].request_id == UUID(int=1)


def test_every_request_is_matched_with_suitable_starts_earliest_first() -> None:
    starts = [(DAY + n * HOUR, DAY + (n + 1) * HOUR) for n in range(4)]
    late = waiting(1, waits=9, earliest=DAY + HOUR, latest_end=DAY + 3 * HOUR)
    busy = waiting(2, waits=8, busy=((DAY + timedelta(minutes=30), DAY + 2 * HOUR),))
    offered = waiting(3, waits=7, offered=frozenset({DAY, DAY + 3 * HOUR}))
    other = replace(waiting(4, prefers=True), service_type_id=OTHER_SERVICE_TYPE)
    candidates = [offered, busy, late, other]
    found = [
        (one.request_id.int, start) for one, start, _ in matching_starts(candidates, {SERVICE_TYPE: starts})
    ]
    hours = [(name, (start - DAY) // HOUR) for name, start in found]
    assert hours == [(1, 1), (1, 2), (2, 2), (2, 3), (3, 1), (3, 2)]


def test_an_offer_ends_after_its_term_by_its_start_and_by_the_deadline() -> None:
    term = timedelta(minutes=30)
    assert offer_end(NOW, term, DAY, DAY) == NOW + term
    assert offer_end(NOW, term, NOW + timedelta(minutes=9), None) == NOW + timedelta(minutes=9)
    assert offer_end(NOW, term, DAY, NOW + timedelta(minutes=7)) == NOW + timedelta(minutes=7)


def test_who_lets_offers_lapse_is_left_in_peace_twice_as_long_each_time_up_to_a_day() -> None:
    term = timedelta(minutes=30)
    assert [cooldown(n, term) / HOUR for n in (1, 2, 3, 6, 7, 500)] == [0.5, 1, 2, 16, 24, 24]


def test_an_open_offer_whose_time_is_over_has_lapsed() -> None:
    assert effective_state("open", NOW + timedelta(microseconds=1), NOW) == "open"
    assert effective_state("open", NOW, NOW) == "lapsed"
    assert effective_state("accepted", NOW, NOW) == "accepted"
