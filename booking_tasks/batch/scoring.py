"""What every pair of a batch is worth: the score of a single look, with the turns of a whole batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
from uuid import UUID

from booking_tasks.assignment.eligibility import Criteria, Profile
from booking_tasks.assignment.scoring import (
    Circumstances,
    earliness,
    local_time_suitability,
    specialization_closeness,
    tier_priority,
)
from booking_tasks.availability.rules import Aliases
from booking_tasks.batch.problem import Ground
from booking_tasks.context import Weights
from booking_tasks.credits.rules import Balance
from booking_tasks.enums import Term
from booking_tasks.kit.time_zones import zone


@dataclass(frozen=True)
class Acquaintances:
    """Who had which requester or company before: those who had them, by the one they had."""

    requesters: Mapping[UUID, frozenset[UUID]]
    companies: Mapping[UUID, frozenset[UUID]]

    def of(self, wish: Criteria) -> dict[UUID, float]:
        """1.0 for those who had the requester, 0.5 for those who had the company."""
        company = self.companies.get(wish.company_id, frozenset()) if wish.company_id else frozenset()
        return dict.fromkeys(company, 0.5) | dict.fromkeys(
            self.requesters.get(wish.requester_user_id, frozenset()), 1.0
        )


@dataclass
class Scene:
    """What is known of everybody in a batch. Weights and standings by kind of consultation."""

    profiles: Mapping[UUID, Profile]
    aliases: Aliases
    acquaintances: Acquaintances
    zones: Mapping[UUID, tzinfo]
    weights: Mapping[UUID, Weights]
    standings: Mapping[UUID, Mapping[UUID, Balance]]
    default_zone: tzinfo
    _closeness: dict[tuple[UUID, tuple[str, ...]], float] = field(default_factory=dict)
    _local: dict[tuple[int, tzinfo], float] = field(default_factory=dict)

    def about(self, wish: Criteria, since: datetime, until: datetime | None) -> Circumstances:
        """What the terms of one request's candidates have in common."""
        return Circumstances(
            criteria=wish,
            since=since,
            until=until,
            requester_zone=self.zones.get(wish.requester_user_id, self.default_zone),
            known=self.acquaintances.of(wish),
            aliases=self.aliases,
        )

    def worth(
        self, ground: Ground, openings: Iterable[int], about: Circumstances, turns: Mapping[int, int]
    ) -> list[float]:
        """The score of one request at each opening, as a share of the most that there could be.

        The terms are those of `scoring.terms_of`; what many pairs have in common is worked out once.
        """
        weights = self.weights[about.criteria.service_type_id].by_term()
        highest, standing = sum(weights.values()), dict[int, float]()
        found = []
        for opening in openings:
            place = ground.whose[opening]
            if place not in standing:
                who = ground.consultants[place]
                terms = self._lasting(self.profiles[who], about)
                standing[place] = sum(weights[term] * value for term, value in terms.items())
            value = (
                standing[place]
                + weights["fairness"] / (1 + turns[opening])
                + weights["earliest"] * earliness(ground.starts[opening], about.since, about.until)
                + weights["local_time"] * self._local_time(ground, opening, about.requester_zone)
            )
            found.append(value / highest)
        return found

    def _lasting(self, one: Profile, about: Circumstances) -> dict[Term, float]:
        """The terms of a consultant that no start changes."""
        key = (one.consultant_user_id, about.criteria.required_specializations)
        if key not in self._closeness:
            self._closeness[key] = specialization_closeness(one, about)
        return {
            Term.PREFERENCE: float(one.consultant_user_id == about.criteria.preferred),
            Term.PRIORITY: tier_priority(one),
            Term.SPECIALIZATION: self._closeness[key],
            Term.CONTINUITY: about.known.get(one.consultant_user_id, 0.0),
        }

    def _local_time(self, ground: Ground, opening: int, requester_zone: tzinfo) -> float:
        key = (opening, requester_zone)
        if key not in self._local:
            own = zone(self.profiles[ground.consultants[ground.whose[opening]]].time_zone)
            self._local[key] = min(
                local_time_suitability(moment.astimezone(where))
                for moment in (ground.starts[opening], ground.ends[opening])
                for where in (own, requester_zone)
            )
        return self._local[key]


def turns_of(ground: Ground, kind: UUID, standings: Mapping[UUID, Balance]) -> dict[int, int]:
    """Whose turn each opening of a kind is: as if every earlier one of its consultant were taken.

    A batch gives many at once. The second of a consultant counts as that of somebody who has one more.
    """
    keys = {}
    depth: dict[int, int] = {}
    until: dict[int, int] = {}
    for opening in ground.by_kind.get(kind, []):
        place = ground.whose[opening]
        if ground.firsts[opening] >= until.get(place, ground.firsts[opening]):
            until[place] = ground.lasts[opening]
            depth[place] = depth.get(place, 0) + 1
        one = standings.get(ground.consultants[place]) or Balance()
        keys[opening] = (one.credits + depth[place]) / one.weight
    queue = {key: place for place, key in enumerate(sorted(set(keys.values())))}
    return {opening: queue[key] for opening, key in keys.items()}


def standings_of(
    rows: Iterable[tuple[UUID, Decimal | None, Decimal, datetime | None]],
) -> dict[UUID, Balance]:
    """From (consultant, credits, weight, idle since): who has no credits yet starts at the average."""
    rows = list(rows)
    having = [(amount, weight) for _, amount, weight, _ in rows if amount is not None]
    average = sum((one for one, _ in having), Decimal(0)) / (sum((one for _, one in having), Decimal(0)) or 1)
    return {
        who: Balance(average * weight if amount is None else amount, weight, idle)
        for who, amount, weight, idle in rows
    }


def by_subject(rows: Iterable[tuple[UUID, UUID]]) -> dict[UUID, frozenset[UUID]]:
    """(subject, consultant) -> the consultants of each subject."""
    found: dict[UUID, set[UUID]] = {}
    for subject, who in rows:
        found.setdefault(subject, set()).add(who)
    return {subject: frozenset(those) for subject, those in found.items()}
