"""The score of every pair of a batch: as for a single request, but with the queue of the whole batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
from uuid import UUID

from booking_tasks.assignment.rules import (
    Circumstances,
    Criteria,
    Profile,
    earliness,
    local_time_suitability,
    specialization_closeness,
    tier_priority,
)
from booking_tasks.availability.rules import Aliases
from booking_tasks.batch.problem import MatchingProblem
from booking_tasks.context import Weights
from booking_tasks.credits.rules import Balance
from booking_tasks.enums import Term
from booking_tasks.kit.time_zones import zone


@dataclass(frozen=True)
class Acquaintances:
    """The consultants who had a session with a requester, or with a requester of a company, before."""

    requesters: Mapping[UUID, frozenset[UUID]]
    companies: Mapping[UUID, frozenset[UUID]]

    def of(self, criteria: Criteria) -> dict[UUID, float]:
        """Consultant -> 1.0 where they had the requester before, 0.5 where they had the company."""
        company = self.companies.get(criteria.company_id, frozenset()) if criteria.company_id else frozenset()
        return dict.fromkeys(company, 0.5) | dict.fromkeys(
            self.requesters.get(criteria.requester_user_id, frozenset()), 1.0
        )


@dataclass
class ScoreInputs:
    """What the scores of a batch are made of; weights and balances are by service type."""

    profiles: Mapping[UUID, Profile]
    aliases: Aliases
    acquaintances: Acquaintances
    zones: Mapping[UUID, tzinfo]
    weights: Mapping[UUID, Weights]
    balances: Mapping[UUID, Mapping[UUID, Balance]]
    default_zone: tzinfo
    _closeness: dict[tuple[UUID, tuple[str, ...]], float] = field(default_factory=dict)
    _local: dict[tuple[int, tzinfo], float] = field(default_factory=dict)

    def circumstances(self, criteria: Criteria, since: datetime, until: datetime | None) -> Circumstances:
        """What the terms of the candidates of one request have in common."""
        return Circumstances(
            criteria=criteria,
            since=since,
            until=until,
            requester_zone=self.zones.get(criteria.requester_user_id, self.default_zone),
            known=self.acquaintances.of(criteria),
            aliases=self.aliases,
        )

    def pair_scores(
        self,
        problem: MatchingProblem,
        openings: Iterable[int],
        circumstances: Circumstances,
        positions: Mapping[int, int],
    ) -> list[float]:
        """The score of one request at each opening, as a share of the highest possible score.

        The terms are those of `assignment.rules.score_terms`; what pairs have in common is computed once.
        """
        weights = self.weights[circumstances.criteria.service_type_id].by_term()
        highest, lasting = sum(weights.values()), dict[int, float]()
        found = []
        for opening in openings:
            place = problem.consultant_places[opening]
            if place not in lasting:
                who = problem.consultants[place]
                terms = self._lasting_terms(self.profiles[who], circumstances)
                lasting[place] = sum(weights[term] * value for term, value in terms.items())
            value = (
                lasting[place]
                + weights["fairness"] / (1 + positions[opening])
                + weights["earliest"]
                * earliness(problem.starts[opening], circumstances.since, circumstances.until)
                + weights["local_time"] * self._local_time(problem, opening, circumstances.requester_zone)
            )
            found.append(value / highest)
        return found

    def _lasting_terms(self, one: Profile, circumstances: Circumstances) -> dict[Term, float]:
        """The terms of a consultant that do not depend on the start."""
        key = (one.consultant_user_id, circumstances.criteria.required_specializations)
        if key not in self._closeness:
            self._closeness[key] = specialization_closeness(one, circumstances)
        return {
            Term.PREFERENCE: float(one.consultant_user_id == circumstances.criteria.preferred),
            Term.PRIORITY: tier_priority(one),
            Term.SPECIALIZATION: self._closeness[key],
            Term.CONTINUITY: circumstances.known.get(one.consultant_user_id, 0.0),
        }

    def _local_time(self, problem: MatchingProblem, opening: int, requester_zone: tzinfo) -> float:
        key = (opening, requester_zone)
        if key not in self._local:
            own = zone(self.profiles[problem.consultants[problem.consultant_places[opening]]].time_zone)
            self._local[key] = min(
                local_time_suitability(moment.astimezone(where))
                for moment in (problem.starts[opening], problem.ends[opening])
                for where in (own, requester_zone)
            )
        return self._local[key]


def queue_positions_of(
    problem: MatchingProblem, service_type_id: UUID, balances: Mapping[UUID, Balance]
) -> dict[int, int]:
    """The position of each opening in the fairness queue, as if the earlier openings were booked.

    A batch books many at once: the second opening of a consultant counts as if they had one assignment more.
    """
    keys = {}
    depth: dict[int, int] = {}
    until: dict[int, int] = {}
    for opening in problem.by_service_type.get(service_type_id, []):
        place = problem.consultant_places[opening]
        if problem.occupied_from[opening] >= until.get(place, problem.occupied_from[opening]):
            until[place] = problem.occupied_until[opening]
            depth[place] = depth.get(place, 0) + 1
        one = balances.get(problem.consultants[place]) or Balance()
        keys[opening] = (one.credits + depth[place]) / one.weight
    queue = {key: place for place, key in enumerate(sorted(set(keys.values())))}
    return {opening: queue[key] for opening, key in keys.items()}


def balances_from_rows(
    rows: Iterable[tuple[UUID, Decimal | None, Decimal, datetime | None]],
) -> dict[UUID, Balance]:
    """Balances from (consultant, credits, weight, idle since); newcomers start at the average."""
    rows = list(rows)
    having = [(amount, weight) for _, amount, weight, _ in rows if amount is not None]
    average = sum((one for one, _ in having), Decimal(0)) / (sum((one for _, one in having), Decimal(0)) or 1)
    return {
        who: Balance(average * weight if amount is None else amount, weight, idle)
        for who, amount, weight, idle in rows
    }


def group_by_subject(rows: Iterable[tuple[UUID, UUID]]) -> dict[UUID, frozenset[UUID]]:
    """Group rows of (subject, consultant) into the consultants of each subject."""
    found: dict[UUID, set[UUID]] = {}
    for subject, who in rows:
        found.setdefault(subject, set()).add(who)
    return {subject: frozenset(those) for subject, those in found.items()}
