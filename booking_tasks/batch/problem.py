"""The matching problem of a batch: openings and limits of consultants, and what each request may have."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from booking_tasks.batch.plan import Batch
from booking_tasks.batch.store import BookingTerms, Usage
from booking_tasks.hours.rules import local_day
from booking_tasks.kit.instants import Span
from booking_tasks.kit.time_zones import zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT = timedelta(microseconds=1)


def _number(moment: datetime) -> int:
    return (moment - _EPOCH) // _UNIT


def _columns() -> array[int]:
    return array("q")


@dataclass(frozen=True)
class Claim:
    """What one request may have: consultants by place, a start in [low, high), an end until `latest`."""

    requester_user_id: UUID
    service_type_id: UUID
    fit: frozenset[int]
    low: datetime
    high: datetime
    latest: datetime | None

    @property
    def shape(self) -> tuple[UUID, frozenset[int], datetime, datetime, datetime | None]:
        """Claims of equal shape have the same openings."""
        return self.service_type_id, self.fit, self.low, self.high, self.latest


@dataclass
class MatchingProblem:
    """Openings and budgets as they are read. `starts` and `ends` are the instants of each opening.

    `consultant_places` is the place in `consultants` of each opening; `occupied_from` and `occupied_until`
    are its span with the buffers. `capacities` says how many more reservations, of any service type, a
    consultant with a capacity may have ahead.
    """

    consultants: Sequence[UUID]
    starts: list[datetime] = field(default_factory=list)
    ends: list[datetime] = field(default_factory=list)
    consultant_places: array[int] = field(default_factory=_columns)
    occupied_from: array[int] = field(default_factory=_columns)
    occupied_until: array[int] = field(default_factory=_columns)
    uses: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    budgets: array[int] = field(default_factory=_columns)
    by_service_type: dict[UUID, list[int]] = field(default_factory=dict)
    capacities: Mapping[UUID, int] = field(default_factory=dict)
    _numbers: dict[Hashable, int] = field(default_factory=dict)

    def add(
        self,
        service_type: OfferedServiceType,
        rows: Iterable[tuple[UUID, datetime, datetime]],
        places: Mapping[UUID, int],
    ) -> list[int]:
        """Add rows in order of start, then consultant; returns the numbers of the new openings."""
        known = self.by_service_type.setdefault(service_type.id, [])
        begin = len(self.starts)
        for who, start, end in rows:
            terms = service_type.terms[who]
            opening = len(self.starts)
            self.starts.append(start)
            self.ends.append(end)
            self.consultant_places.append(places[who])
            self.occupied_from.append(_number(start - terms.buffer_before))
            self.occupied_until.append(_number(end + terms.buffer_after))
            costs = [*service_type.costs(who, start, end)] if terms.limited else []
            if who in self.capacities:
                costs.append((who, max(0, self.capacities[who]), 1))
            if costs:
                self.uses[opening] = [(self._budget(name, left), amount) for name, left, amount in costs]
        added = list(range(begin, len(self.starts)))
        known += added
        return added

    def _budget(self, name: Hashable, left: int) -> int:
        """The number of a budget; a new one is added with the amount that is left of it."""
        if name not in self._numbers:
            self._numbers[name] = len(self.budgets)
            self.budgets.append(left)
        return self._numbers[name]

    def matching(self, claim: Claim) -> list[int]:
        """The openings that a claim could have, in order of start, then consultant."""
        known = self.by_service_type.get(claim.service_type_id, [])
        begin = bisect_left(known, claim.low, key=self.starts.__getitem__)
        end = bisect_left(known, claim.high, key=self.starts.__getitem__)
        fitting = [one for one in known[begin:end] if self.consultant_places[one] in claim.fit]
        if claim.latest is None:
            return fitting
        return [one for one in fitting if self.ends[one] <= claim.latest]

    def count_disjoint(self, openings: Iterable[int]) -> dict[int, int]:
        """How many of the openings each consultant could serve without overlap, within their limits."""
        until: dict[int, int] = {}
        spent: dict[int, int] = {}
        found: dict[int, int] = {}
        for one in openings:
            who, uses = self.consultant_places[one], self.uses.get(one, [])
            if self.occupied_from[one] < until.get(who, self.occupied_from[one]) or any(
                spent.get(budget, 0) + amount > self.budgets[budget] for budget, amount in uses
            ):
                continue
            until[who] = self.occupied_until[one]
            found[who] = found.get(who, 0) + 1
            for budget, amount in uses:
                spent[budget] = spent.get(budget, 0) + amount
        return found

    def reach(self, openings: Sequence[int], count: int) -> int:
        """The length of the shortest beginning of the openings that has `count` without overlap; else all."""
        until: dict[int, int] = {}
        for place, one in enumerate(openings):
            who = self.consultant_places[one]
            if self.occupied_from[one] >= until.get(who, self.occupied_from[one]):
                until[who] = self.occupied_until[one]
                count -= 1
                if count <= 0:
                    return place + 1
        return len(openings)

    def batch(self, claims: Sequence[Claim], pairs: Iterable[tuple[int, int, int]]) -> Batch:
        """The batch for the solver; `pairs` are (request, opening, score), sorted by request."""
        people = {who: place for place, who in enumerate(self.consultants)}
        columns = (array("q"), array("q"), array("q"))
        for pair in pairs:
            for column, value in zip(columns, pair, strict=True):
                column.append(value)
        uses = [(one, *use) for one, each in self.uses.items() for use in each]
        return Batch(
            requesters=array("q", [people.setdefault(one.requester_user_id, len(people)) for one in claims]),
            consultants=self.consultant_places,
            starts=array("q", map(_number, self.starts)),
            ends=array("q", map(_number, self.ends)),
            occupied_from=self.occupied_from,
            occupied_until=self.occupied_until,
            pair_requests=columns[0],
            pair_openings=columns[1],
            pair_scores=columns[2],
            use_openings=array("q", [one for one, _, _ in uses]),
            use_budgets=array("q", [budget for _, budget, _ in uses]),
            use_amounts=array("q", [amount for _, _, amount in uses]),
            budgets=self.budgets,
        )


@dataclass
class OfferedServiceType:
    """One service type: the booking terms of each consultant, and how much of their limits is used.

    `used` is by consultant and local day: of this service type, and of all of them.
    """

    id: UUID
    terms: Mapping[UUID, BookingTerms]
    used: Mapping[tuple[UUID, date], tuple[Usage, Usage]] = field(default_factory=dict)

    def costs(self, who: UUID, start: datetime, end: datetime) -> Iterator[tuple[Hashable, int, int]]:
        """(name of the budget, amount left, amount that a session costs) for each limit of a consultant."""
        terms = self.terms[who]
        day = local_day(start, zone(terms.time_zone), terms.travel)
        monday = day - timedelta(days=day.weekday())
        week = [monday + timedelta(days=number) for number in range(7)]
        minutes = (end - start) // timedelta(minutes=1)
        for which, (service_type, limits) in enumerate(((self.id, terms.own), (None, terms.overall))):
            of_day, of_week = self._sum(who, [day], which), self._sum(who, week, which)
            for name, most, spent, amount in (
                (("day", day, "sessions"), limits.day_sessions, of_day.sessions, 1),
                (("week", monday, "sessions"), limits.week_sessions, of_week.sessions, 1),
                (("day", day, "minutes"), limits.day_minutes, of_day.minutes, minutes),
                (("week", monday, "minutes"), limits.week_minutes, of_week.minutes, minutes),
            ):
                if most is not None:
                    yield (service_type, who, name), max(0, most - spent), amount

    def _sum(self, who: UUID, days: Iterable[date], which: int) -> Usage:
        used = [self.used[who, day][which] for day in days if (who, day) in self.used]
        return Usage(sum(one.sessions for one in used), sum(one.minutes for one in used))


def spread_openings(openings: Sequence[int], place: int, of: int, reach: int, quota: int) -> Sequence[int]:
    """At most `quota` of the openings for the request at `place` of `of` requests with the same claim.

    If all of them had the first openings, not all could be served. So each request has later openings than
    the one before it, and all together have the first `reach`.
    """
    if len(openings) <= quota:
        return openings
    begin = max(0, reach - quota) * place // max(of - 1, 1)
    return openings[begin : begin + quota]


def is_disjoint(spans: Sequence[Span], start: datetime, end: datetime) -> bool:
    """Whether a span overlaps none of the spans."""
    return all(end <= begins or ends <= start for begins, ends in spans)


def widening_spans(start: datetime, end: datetime) -> Iterator[Span]:
    """Split start to end into spans, each twice as long as the one before: the near starts come first."""
    width = timedelta(days=1)
    while start < end:
        until = min(start + width, end)
        yield start, until
        start, width = until, width * 2
