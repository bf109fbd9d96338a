"""Who is asked about which start, and in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from uuid import UUID

from booking_tasks.context import Weights
from booking_tasks.offers.rules import cooldown, effective_state, offer_end
from booking_tasks.waiting.rules import Wish, best_first, matches, terms_of
from tests.builders import NOW

KIND, OTHER_KIND = UUID(int=100), UUID(int=101)
HOUR = timedelta(hours=1)
DAY = NOW + timedelta(days=1)


def wish(name: int, *, waits: int = 1, prefers: bool = False, **values: object) -> Wish:
    values.setdefault("terms", terms_of(preferred=prefers, known=0, closeness=1))
    return Wish(UUID(int=name), KIND, NOW - waits * HOUR, weights=Weights(), **values)  # type: ignore[arg-type]


def test_the_highest_score_then_who_waits_longest_then_the_id_comes_first() -> None:
    wanted = wish(9, prefers=True)
    longest, twin, later = wish(5, waits=3), wish(6, waits=3), wish(1, waits=2)
    for order in permutations([later, twin, wanted, longest]):
        assert best_first(order) == [wanted, longest, twin, later]


def test_the_weights_of_the_kind_say_how_much_an_acquaintance_counts() -> None:
    stranger = wish(1, waits=9, terms=terms_of(preferred=False, known=0, closeness=1))
    friend = wish(2, terms=terms_of(preferred=False, known=1, closeness=0.5))
    assert best_first([stranger, friend]) == [friend, stranger]
    only_skill = Weights().with_changes({"continuity": 0})
    assert best_first([replace(stranger, weights=only_skill), replace(friend, weights=only_skill)])[
        0
    ].request_id == UUID(int=1)


def test_every_wish_is_matched_with_the_starts_that_suit_it_the_earliest_first() -> None:
    starts = [(DAY + n * HOUR, DAY + (n + 1) * HOUR) for n in range(4)]
    late = wish(1, waits=9, earliest=DAY + HOUR, latest_end=DAY + 3 * HOUR)
    busy = wish(2, waits=8, busy=((DAY + timedelta(minutes=30), DAY + 2 * HOUR),))
    asked = wish(3, waits=7, asked=frozenset({DAY, DAY + 3 * HOUR}))
    other = replace(wish(4, prefers=True), service_type_id=OTHER_KIND)
    found = [
        (one.request_id.int, start) for one, start, _ in matches([asked, busy, late, other], {KIND: starts})
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
