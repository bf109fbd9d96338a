"""The ground of a batch: consultants, their openings and limits, and which request could be served where."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from booking_tasks.batch.plan import Batch
from booking_tasks.batch.store import Terms, Usage
from booking_tasks.kit.time_zones import zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT = timedelta(microseconds=1)
Span = tuple[datetime, datetime]


def _number(moment: datetime) -> int:
    return (moment - _EPOCH) // _UNIT


def _columns() -> array[int]:
    return array("q")


@dataclass(frozen=True)
class Claim:
    """What one request may have: consultants by place, starts in [low, high), an end by `latest`."""

    requester_user_id: UUID
    service_type_id: UUID
    fit: frozenset[int]
    low: datetime
    high: datetime
    latest: datetime | None

    @property
    def shape(self) -> tuple[UUID, frozenset[int], datetime, datetime, datetime | None]:
        """Requests of one shape have the same openings."""
        return self.service_type_id, self.fit, self.low, self.high, self.latest


@dataclass
class Ground:
    """Openings and budgets as they are read. `starts` and `ends` are those of each opening, as instants.

    `capacities`: how much more, of any kind, those may have ahead who have a capacity.
    """

    consultants: Sequence[UUID]
    starts: list[datetime] = field(default_factory=list)
    ends: list[datetime] = field(default_factory=list)
    whose: array[int] = field(default_factory=_columns)
    firsts: array[int] = field(default_factory=_columns)
    lasts: array[int] = field(default_factory=_columns)
    uses: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    budgets: array[int] = field(default_factory=_columns)
    by_kind: dict[UUID, list[int]] = field(default_factory=dict)
    capacities: Mapping[UUID, int] = field(default_factory=dict)
    _numbers: dict[Hashable, int] = field(default_factory=dict)

    def add(
        self, kind: Kind, rows: Iterable[tuple[UUID, datetime, datetime]], places: Mapping[UUID, int]
    ) -> list[int]:
        """Note (consultant, start, end) in order of start, then consultant; the numbers of the openings."""
        known = self.by_kind.setdefault(kind.id, [])
        begin = len(self.starts)
        for who, start, end in rows:
            terms = kind.terms[who]
            opening = len(self.starts)
            self.starts.append(start)
            self.ends.append(end)
            self.whose.append(places[who])
            self.firsts.append(_number(start - terms.buffer_before))
            self.lasts.append(_number(end + terms.buffer_after))
            costs = [*kind.costs(who, start, end)] if terms.limited else []
            if who in self.capacities:
                costs.append((who, max(0, self.capacities[who]), 1))
            if costs:
                self.uses[opening] = [(self._budget(name, left), amount) for name, left, amount in costs]
        added = list(range(begin, len(self.starts)))
        known += added
        return added

    def _budget(self, name: Hashable, left: int) -> int:
        """The number of a budget; one that is met for the first time is added with what is left of it."""
        if name not in self._numbers:
            self._numbers[name] = len(self.budgets)
            self.budgets.append(left)
        return self._numbers[name]

    def matching(self, claim: Claim) -> list[int]:
        """The openings that a claim could have, in order of start, then consultant."""
        known = self.by_kind.get(claim.service_type_id, [])
        begin = bisect_left(known, claim.low, key=self.starts.__getitem__)
        end = bisect_left(known, claim.high, key=self.starts.__getitem__)
        fitting = [one for one in known[begin:end] if self.whose[one] in claim.fit]
        if claim.latest is None:
            return fitting
        return [one for one in fitting if self.ends[one] <= claim.latest]

    def side_by_side(self, openings: Iterable[int]) -> dict[int, int]:
        """How many of the openings each consultant could serve one after the other, within limits."""
        until: dict[int, int] = {}
        spent: dict[int, int] = {}
        found: dict[int, int] = {}
        for one in openings:
            who, uses = self.whose[one], self.uses.get(one, [])
            if self.firsts[one] < until.get(who, self.firsts[one]) or any(
                spent.get(budget, 0) + amount > self.budgets[budget] for budget, amount in uses
            ):
                continue
            until[who] = self.lasts[one]
            found[who] = found.get(who, 0) + 1
            for budget, amount in uses:
                spent[budget] = spent.get(budget, 0) + amount
        return found

    def reach(self, openings: Sequence[int], count: int) -> int:
        """How many of the openings, from the first on, hold `count` that do not overlap; all, if none do."""
        until: dict[int, int] = {}
        for place, one in enumerate(openings):
            who = self.whose[one]
            if self.firsts[one] >= until.get(who, self.firsts[one]):
                until[who] = self.lasts[one]
                count -= 1
                if count <= 0:
                    return place + 1
        return len(openings)

    def batch(self, claims: Sequence[Claim], pairs: Iterable[tuple[int, int, int]]) -> Batch:
        """The matching's view: (request, opening, score) sorted by request."""
        people: dict[UUID, int] = {}
        columns = (array("q"), array("q"), array("q"))
        for pair in pairs:
            for column, value in zip(columns, pair, strict=True):
                column.append(value)
        uses = [(one, *use) for one, each in self.uses.items() for use in each]
        return Batch(
            requesters=array("q", [people.setdefault(one.requester_user_id, len(people)) for one in claims]),
            consultants=self.whose,
            starts=array("q", map(_number, self.starts)),
            ends=array("q", map(_number, self.ends)),
            firsts=self.firsts,
            lasts=self.lasts,
            pair_requests=columns[0],
            pair_openings=columns[1],
            pair_scores=columns[2],
            use_openings=array("q", [one for one, _, _ in uses]),
            use_budgets=array("q", [budget for _, budget, _ in uses]),
            use_amounts=array("q", [amount for _, _, amount in uses]),
            budgets=self.budgets,
        )


@dataclass
class Kind:
    """One kind of consultation: who offers it on which terms, and what they have of it and of all kinds."""

    id: UUID
    terms: Mapping[UUID, Terms]
    used: Mapping[tuple[UUID, date], tuple[Usage, Usage]] = field(default_factory=dict)

    def costs(self, who: UUID, start: datetime, end: datetime) -> Iterator[tuple[Hashable, int, int]]:
        """(name of the budget, what is left of it, what a session takes) for each limit of a consultant."""
        terms = self.terms[who]
        day = start.astimezone(zone(terms.time_zone)).date()
        monday = day - timedelta(days=day.weekday())
        week = [monday + timedelta(days=number) for number in range(7)]
        minutes = (end - start) // timedelta(minutes=1)
        for which, (kind, limits) in enumerate(((self.id, terms.own), (None, terms.overall))):
            of_day, of_week = self._sum(who, [day], which), self._sum(who, week, which)
            for name, most, spent, amount in (
                (("day", day, "sessions"), limits.day_sessions, of_day.sessions, 1),
                (("week", monday, "sessions"), limits.week_sessions, of_week.sessions, 1),
                (("day", day, "minutes"), limits.day_minutes, of_day.minutes, minutes),
                (("week", monday, "minutes"), limits.week_minutes, of_week.minutes, minutes),
            ):
                if most is not None:
                    yield (kind, who, name), max(0, most - spent), amount

    def _sum(self, who: UUID, days: Iterable[date], which: int) -> Usage:
        used = [self.used[who, day][which] for day in days if (who, day) in self.used]
        return Usage(sum(one.sessions for one in used), sum(one.minutes for one in used))


def spread(openings: Sequence[int], place: int, of: int, reach: int, quota: int) -> Sequence[int]:
    """At most `quota` of the openings for the request at `place` of `of` with the same claim.

    Requests that all had the first openings could not all be served: each looks further on than the one
    before it, so that all together look at the first `reach`.
    """
    if len(openings) <= quota:
        return openings
    begin = max(0, reach - quota) * place // max(of - 1, 1)
    return openings[begin : begin + quota]


def first_of_each(ground: Ground, openings: Iterable[int]) -> dict[int, int]:
    """The first opening of each consultant."""
    found: dict[int, int] = {}
    for one in openings:
        found.setdefault(ground.whose[one], one)
    return found


def apart(spans: Sequence[Span], start: datetime, end: datetime) -> bool:
    """Whether a time touches none of the spans."""
    return all(end <= begins or ends <= start for begins, ends in spans)


def stretches(start: datetime, end: datetime) -> Iterator[Span]:
    """(from, to) from start to end, each twice as long as the one before: the first starts are near."""
    width = timedelta(days=1)
    while start < end:
        until = min(start + width, end)
        yield start, until
        start, width = until, width * 2
