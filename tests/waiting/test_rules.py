"""Who is asked about which start, and in which order."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from uuid import UUID

from booking_tasks.offers.rules import peace, standing, stands_until
from booking_tasks.waiting.rules import Wish, best_first, matches
from tests.builders import NOW

KIND, OTHER_KIND = UUID(int=100), UUID(int=101)
HOUR = timedelta(hours=1)
DAY = NOW + timedelta(days=1)


def wish(name: int, *, waits: int = 1, prefers: bool = False, **values: object) -> Wish:
    return Wish(UUID(int=name), KIND, prefers, NOW - waits * HOUR, **values)  # type: ignore[arg-type]


def test_whose_preferred_consultant_it_is_then_who_waits_longest_then_the_id_comes_first() -> None:
    wanted = wish(9, prefers=True)
    longest, twin, later = wish(5, waits=3), wish(6, waits=3), wish(1, waits=2)
    for order in permutations([later, twin, wanted, longest]):
        assert best_first(order) == [wanted, longest, twin, later]


def test_every_wish_is_matched_with_the_starts_that_suit_it_the_earliest_first() -> None:
    starts = [(DAY + n * HOUR, DAY + (n + 1) * HOUR) for n in range(4)]
    late = wish(1, waits=9, earliest=DAY + HOUR, latest_end=DAY + 3 * HOUR)
    busy = wish(2, waits=8, busy=((DAY + timedelta(minutes=30), DAY + 2 * HOUR),))
    asked = wish(3, waits=7, asked=frozenset({DAY, DAY + 3 * HOUR}))
    other = Wish(UUID(int=4), OTHER_KIND, True, NOW)
    found = [
        (one.request_id.int, start) for one, start, _ in matches([asked, busy, late, other], {KIND: starts})
    ]
    hours = [(name, (start - DAY) // HOUR) for name, start in found]
    assert hours == [(1, 1), (1, 2), (2, 2), (2, 3), (3, 1), (3, 2)]


def test_an_offer_ends_after_its_term_by_its_start_and_by_the_deadline() -> None:
    term = timedelta(minutes=30)
    assert stands_until(NOW, term, DAY, DAY) == NOW + term
    assert stands_until(NOW, term, NOW + timedelta(minutes=9), None) == NOW + timedelta(minutes=9)
    assert stands_until(NOW, term, DAY, NOW + timedelta(minutes=7)) == NOW + timedelta(minutes=7)


def test_who_lets_offers_lapse_is_left_in_peace_twice_as_long_each_time_up_to_a_day() -> None:
    term = timedelta(minutes=30)
    assert [peace(n, term) / HOUR for n in (1, 2, 3, 6, 7, 500)] == [0.5, 1, 2, 16, 24, 24]


def test_an_open_offer_whose_time_is_over_has_lapsed() -> None:
    assert standing("open", NOW + timedelta(microseconds=1), NOW) == "open"
    assert standing("open", NOW, NOW) == "lapsed"
    assert standing("accepted", NOW, NOW) == "accepted"
