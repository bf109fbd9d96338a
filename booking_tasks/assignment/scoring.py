"""The score: named terms between 0 and 1, each times its weight. Pure; docs/assignment.md explains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from uuid import UUID

from booking_tasks.assignment.eligibility import Criteria, Profile
from booking_tasks.availability.rules import Aliases, canonical_specializations
from booking_tasks.context import Weights
from booking_tasks.enums import Term

#: Local hours at which a consultation suits a person, and how far around them it grows unsuitable.
_DAY_BEGINS, _DAY_ENDS, _FADES = 8.0, 20.0, 4.0
_TIERS = 5
_DECIMALS = 9

Terms = Mapping[Term, float]


@dataclass(frozen=True)
class Circumstances:
    """What the terms of every candidate of one request have in common.

    `since` and `until` are the wanted window, from now on at the earliest; `until` may be open.
    `known`: consultant -> 1.0 when they had this requester before, 0.5 for this company.
    """

    criteria: Criteria
    since: datetime
    until: datetime | None
    requester_zone: tzinfo
    known: Mapping[UUID, float]
    aliases: Aliases


def score_terms(
    one: Profile, start: datetime, end: datetime, zone: tzinfo, turn: int, about: Circumstances
) -> dict[Term, float]:
    """The terms of one consultant at one start. `turn` is their place in the pool's queue, 0 the first."""
    return {
        Term.PREFERENCE: float(one.consultant_user_id == about.criteria.preferred),
        Term.PRIORITY: tier_priority(one),
        Term.FAIRNESS: 1 / (1 + turn),
        Term.EARLIEST: earliness(start, about.since, about.until),
        Term.SPECIALIZATION: specialization_closeness(one, about),
        Term.CONTINUITY: about.known.get(one.consultant_user_id, 0.0),
        Term.LOCAL_TIME: min(
            local_time_suitability(moment.astimezone(where))
            for moment in (start, end)
            for where in (zone, about.requester_zone)
        ),
    }


def total_score(terms: Terms, weights: Weights) -> float:
    """The score. Rounded, so that equals are equal on every machine."""
    by_term = weights.by_term()
    return round(sum(by_term[term] * value for term, value in terms.items()), _DECIMALS)


def tier_priority(one: Profile) -> float:
    """1 for the first tier, 0 for the last."""
    return (_TIERS - one.tier) / (_TIERS - 1)


def earliness(start: datetime, since: datetime, until: datetime | None) -> float:
    """1 at the beginning of the window, 0 at its end; without an end, half of it is gone after a day."""
    waited = max(start - since, timedelta(0))
    if until is None:
        return 1 / (1 + waited / timedelta(days=1))
    return max(0.0, 1 - waited / (until - since)) if until > since else 0.0


def specialization_closeness(one: Profile, about: Circumstances) -> float:
    """1 when the consultant has just what is required, less with every specialization more.

    So generalists are kept for the requests that need them.
    """
    required = canonical_specializations(about.criteria.required_specializations, about.aliases)
    return 1 / (1 + len(canonical_specializations(one.specializations, about.aliases) - required))


def local_time_suitability(local: datetime) -> float:
    """1 in the day's hours, falling to 0 within the four hours around them."""
    hour = local.hour + local.minute / 60
    outside = max(_DAY_BEGINS - hour, hour - _DAY_ENDS, 0.0)
    return max(0.0, 1 - outside / _FADES)
