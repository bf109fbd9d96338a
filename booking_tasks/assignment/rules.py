"""The rules of a choice: who is eligible, how candidates score, and who is best. Pure.

docs/assignment.md explains the terms of the score and their weights.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from booking_tasks.availability.rules import (
    NO_ALIASES,
    Aliases,
    canonical_specializations,
    has_specializations,
)
from booking_tasks.context import Weights
from booking_tasks.credits.rules import Balance, queue_positions
from booking_tasks.enums import Fallback, Term
from booking_tasks.kit.instants import Span, to_iso
from booking_tasks.kit.time_zones import zone

#: Grows with every change of the choice's meaning; stored with each decision.
POLICY_VERSION = "2: weighted terms; ties to the longest idle, then the earliest, then by id"

Terms = Mapping[Term, float]

#: Local hours at which a consultation suits a person, and the hours around them over which that fades.
_DAY_BEGINS, _DAY_ENDS, _FADES = 8.0, 20.0, 4.0
_TIERS = 5
_DECIMALS = 9
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Ineligibility(StrEnum):
    """Why a consultant is not chosen, in the order of the checks; the last is the closest to a booking."""

    NOT_AVAILABLE_FOR_BOOKING = "not_available_for_booking"
    IS_THE_REQUESTER = "is_the_requester"
    SERVICE_NOT_OFFERED = "service_not_offered"
    NOT_FOR_COMPANY = "not_for_company"
    MISSING_SPECIALIZATION = "missing_specialization"
    MISSING_LANGUAGE = "missing_language"
    EXCLUDED = "excluded"
    NOT_THE_PREFERRED = "not_the_preferred"
    WAITS_FOR_PREFERRED = "waits_for_preferred"
    AT_CAPACITY = "at_capacity"
    NO_FREE_TIME = "no_free_time"
    REQUESTER_BUSY = "requester_busy"
    LOST_THE_RACE = "lost_the_race"


#: The reasons in their order. An empty choice is explained by the last reason that anyone has.
REASONS: tuple[str, ...] = tuple(Ineligibility)
#: The reasons that hold at any time; a consultant with another reason may be free on another day.
LASTING = frozenset(REASONS[: REASONS.index(Ineligibility.NOT_THE_PREFERRED) + 1])
#: The reasons that do not explain an empty choice: such a consultant does not count.
_NOT_COUNTED = {Ineligibility.NOT_AVAILABLE_FOR_BOOKING, Ineligibility.IS_THE_REQUESTER}

#: Why nobody is chosen when every eligible consultant was asked and nobody accepted.
ALL_DECLINED = "all_declined"
#: Why nobody is chosen when there is no consultant at all.
NO_CONSULTANT = "no_consultant"


@dataclass(frozen=True)
class Profile:
    """A consultant, as far as the choice needs it. `service_type_ids`, `company_ids`: None means all."""

    consultant_user_id: UUID
    is_available_for_booking: bool = True
    specializations: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    service_type_ids: frozenset[UUID] | None = None
    company_ids: frozenset[UUID] | None = None
    weight: Decimal = Decimal(1)
    capacity: int | None = None
    tier: int = 3
    time_zone: str = "UTC"


@dataclass(frozen=True)
class Criteria:
    """A request, as far as the choice needs it. One of the languages is enough; none means any."""

    requester_user_id: UUID
    service_type_id: UUID
    company_id: UUID | None = None
    preferred: UUID | None = None
    fallback: str = Fallback.ANYONE
    fallback_after: datetime | None = None
    required_specializations: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    excluded: frozenset[UUID] = field(default_factory=frozenset)


def ineligibility_reason(profile: Profile, criteria: Criteria, aliases: Aliases = NO_ALIASES) -> str | None:
    """Return why a consultant, as they are, can never serve a request; None if they can."""
    reason = None
    if not profile.is_available_for_booking:
        reason = Ineligibility.NOT_AVAILABLE_FOR_BOOKING
    elif profile.consultant_user_id == criteria.requester_user_id:
        reason = Ineligibility.IS_THE_REQUESTER
    elif profile.service_type_ids is not None and criteria.service_type_id not in profile.service_type_ids:
        reason = Ineligibility.SERVICE_NOT_OFFERED
    elif profile.company_ids is not None and criteria.company_id not in profile.company_ids:
        reason = Ineligibility.NOT_FOR_COMPANY
    elif not has_specializations(profile.specializations, criteria.required_specializations, aliases):
        reason = Ineligibility.MISSING_SPECIALIZATION
    elif criteria.languages and not has_language(profile.languages, criteria.languages):
        reason = Ineligibility.MISSING_LANGUAGE
    return reason


def exclusion_reason(profile: Profile, criteria: Criteria, now: datetime) -> str | None:
    """Return why the requester's own criteria leave out an eligible consultant now; None if they do not."""
    who = profile.consultant_user_id
    if who in criteria.excluded:
        return Ineligibility.EXCLUDED
    if criteria.preferred is None or who == criteria.preferred or criteria.fallback == Fallback.ANYONE:
        return None
    if criteria.fallback == Fallback.ONLY:
        return Ineligibility.NOT_THE_PREFERRED
    is_early = criteria.fallback_after is not None and now < criteria.fallback_after
    return Ineligibility.WAITS_FOR_PREFERRED if is_early else None


def has_language(spoken: Iterable[str], accepted: Iterable[str]) -> bool:
    """Whether one of the accepted languages is spoken.

    `de` is served by `de-AT`, but not the other way round (basic filtering, RFC 4647 section 3.3.1).
    """
    tags = [tag.lower() + "-" for tag in spoken]
    return any(tag.startswith(one.lower() + "-") for one in accepted for tag in tags)


@dataclass(frozen=True)
class Circumstances:
    """What the terms of all candidates of one request have in common.

    `since` and `until` are the preferred window, from now on at the earliest; `until` may be open.
    `known`: consultant -> 1.0 when they had this requester before, 0.5 for this company.
    """

    criteria: Criteria
    since: datetime
    until: datetime | None
    requester_zone: tzinfo
    known: Mapping[UUID, float]
    aliases: Aliases


@dataclass(frozen=True)
class Candidate:
    """One consultant, evaluated for one request. `load` counts sessions and holds ahead of them.

    `starts` are in order of time. With `must_confirm`, a start is held until the consultant confirms. `terms`
    and `total` are those of the first start; a candidate who is `rejected` has none.
    """

    consultant_user_id: UUID
    preferred: bool
    load: int
    starts: tuple[Span, ...] = ()
    rejected: str | None = None
    must_confirm: bool = False
    terms: Terms = field(default_factory=dict)
    total: float = 0.0
    idle_since: datetime | None = None
    capacity: int | None = None

    @property
    def is_able(self) -> bool:
        """Whether this consultant can be chosen."""
        return self.rejected is None and bool(self.starts)

    def as_stored(self) -> dict[str, Any]:
        """The candidate as the stored decision shows it."""
        return {
            "consultant_user_id": str(self.consultant_user_id),
            "preferred": self.preferred,
            "load": self.load,
            "earliest_start": to_iso(self.starts[0][0]) if self.starts else None,
            "rejected": self.rejected,
            "terms": {term: round(value, 6) for term, value in self.terms.items()},
            "total": self.total if self.is_able else None,
        }


def scored_candidates(
    candidates: Iterable[Candidate],
    profiles: Mapping[UUID, Profile],
    balances: Mapping[UUID, Balance],
    circumstances: Circumstances,
    weights: Weights,
) -> tuple[Candidate, ...]:
    """The candidates with their terms and totals. The fairness queue has only those who can be chosen."""
    candidates = list(candidates)
    able = [one.consultant_user_id for one in candidates if one.is_able]
    queue = queue_positions({who: balances.get(who) or Balance(weight=profiles[who].weight) for who in able})
    made = []
    for one in candidates:
        who = one.consultant_user_id
        if who not in queue:
            made.append(one)
            continue
        start, end = one.starts[0]
        profile, balance = profiles[who], balances.get(who)
        terms = score_terms(profile, start, end, zone(profile.time_zone), queue[who], circumstances)
        idle_since = balance.idle_since if balance else None
        made.append(replace(one, terms=terms, total=total_score(terms, weights), idle_since=idle_since))
    return tuple(made)


def score_terms(
    profile: Profile,
    start: datetime,
    end: datetime,
    zone: tzinfo,
    position: int,
    circumstances: Circumstances,
) -> dict[Term, float]:
    """The terms of one consultant at one start. `position` is their place in the fairness queue, from 0."""
    criteria = circumstances.criteria
    return {
        Term.PREFERENCE: float(profile.consultant_user_id == criteria.preferred),
        Term.PRIORITY: tier_priority(profile),
        Term.FAIRNESS: 1 / (1 + position),
        Term.EARLIEST: earliness(start, circumstances.since, circumstances.until),
        Term.SPECIALIZATION: specialization_closeness(profile, circumstances),
        Term.CONTINUITY: circumstances.known.get(profile.consultant_user_id, 0.0),
        Term.LOCAL_TIME: min(
            local_time_suitability(instant.astimezone(where))
            for instant in (start, end)
            for where in (zone, circumstances.requester_zone)
        ),
    }


def total_score(terms: Terms, weights: Weights) -> float:
    """The weighted sum of the terms, rounded, so that equals are equal on every machine."""
    by_term: Mapping[str, float] = vars(weights)
    return round(sum(by_term[term] * value for term, value in terms.items()), _DECIMALS)


def tier_priority(profile: Profile) -> float:
    """1 for the first tier, 0 for the last."""
    return (_TIERS - profile.tier) / (_TIERS - 1)


def earliness(start: datetime, since: datetime, until: datetime | None) -> float:
    """1 at the beginning of the window, 0 at its end; without an end, half of it is gone after a day."""
    waited = max(start - since, timedelta(0))
    if until is None:
        return 1 / (1 + waited / timedelta(days=1))
    return max(0.0, 1 - waited / (until - since)) if until > since else 0.0


def specialization_closeness(profile: Profile, circumstances: Circumstances) -> float:
    """1 when the consultant has just the required specializations, less with every further one.

    So generalists stay free for the requests that need them.
    """
    required = canonical_specializations(
        circumstances.criteria.required_specializations, circumstances.aliases
    )
    return 1 / (1 + len(canonical_specializations(profile.specializations, circumstances.aliases) - required))


def local_time_suitability(local: datetime) -> float:
    """1 in the day's hours, falling to 0 within the four hours around them."""
    hour = local.hour + local.minute / 60
    outside = max(_DAY_BEGINS - hour, hour - _DAY_ENDS, 0.0)
    return max(0.0, 1 - outside / _FADES)


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those who can be chosen: highest total first; ties by longest idle, then earliest start, then id."""
    return sorted(
        (one for one in candidates if one.is_able),
        key=lambda one: (-one.total, one.idle_since or _LONG_AGO, one.starts[0][0], one.consultant_user_id),
    )


def unassigned_reason(candidates: Iterable[Candidate], declined: Collection[UUID] = ()) -> str:
    """The reason of an empty choice: the last reason, in their order, that any candidate has.

    `declined` are the consultants who were asked about the request and declined or did not answer.
    """
    reasons = {one.rejected for one in candidates}
    if declined and reasons <= LASTING:
        return ALL_DECLINED
    reasons -= _NOT_COUNTED
    return max((one for one in REASONS if one in reasons), key=REASONS.index, default=NO_CONSULTANT)
