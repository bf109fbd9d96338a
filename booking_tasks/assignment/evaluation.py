"""Evaluates all consultants for one request: candidates with their scores, under the lock of the pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import store
from booking_tasks.assignment.rules import (
    Candidate,
    Circumstances,
    Criteria,
    Ineligibility,
    Profile,
    exclusion_reason,
    ineligibility_reason,
    scored_candidates,
)
from booking_tasks.availability import store as ledger
from booking_tasks.availability.rules import NO_ALIASES, Aliases
from booking_tasks.context import Context, Weights
from booking_tasks.credits.rules import Balance
from booking_tasks.enums import Term
from booking_tasks.kit.instants import Span
from booking_tasks.kit.time_zones import zone
from booking_tasks.models import Consultant, ConsultationRequest, ServiceType

#: How many starts of one consultant are tried before the next candidate's turn.
STARTS_EACH = 5
#: The eligible consultants and what is known of the pool -> the starts of each, or why there are none.
Openings = Callable[[Sequence[UUID], store.Pool], Mapping[UUID, Sequence[Span] | str]]
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Evaluation:
    """All consultants, as evaluated at one moment, and what their scores are made of."""

    candidates: tuple[Candidate, ...]
    profiles: dict[UUID, Profile]
    balances: dict[UUID, Balance]
    circumstances: Circumstances
    weights: Weights

    def without(self, candidate: Candidate, reason: str) -> Evaluation:
        """The same with one candidate rejected, who turned out not to be free; the others are scored anew."""
        who = candidate.consultant_user_id
        left = (
            replace(one, rejected=reason, terms={}, total=0.0) if one.consultant_user_id == who else one
            for one in self.candidates
        )
        return self.with_candidates(left)

    def with_start(self, who: UUID, start: Span) -> Evaluation:
        """The same as if one of the consultants had this start."""
        supposed = (
            replace(one, rejected=None, starts=(start,)) if one.consultant_user_id == who else one
            for one in self.candidates
        )
        return self.with_candidates(supposed)

    def with_candidates(self, candidates: Iterable[Candidate]) -> Evaluation:
        """The same with other candidates, who are scored."""
        found = scored_candidates(candidates, self.profiles, self.balances, self.circumstances, self.weights)
        return replace(self, candidates=found)

    def of(self, who: UUID | None) -> Candidate | None:
        """The candidate of one consultant."""
        return next((one for one in self.candidates if one.consultant_user_id == who), None)


def evaluate(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    service_type: ServiceType,
    openings: Openings | None = None,
) -> Evaluation:
    """Lock the pool of the service type, and evaluate all consultants for a request.

    `openings` returns the starts of the eligible consultants, or why they have none; by default their first
    free ones. Other evaluations for the same service type wait until this transaction is over.
    """
    criteria = criteria_of(request)
    pool = store.lock_pool(db, criteria, ctx.now)
    aliases = _aliases(db, pool.profiles.values(), criteria) if pool.has_aliases else NO_ALIASES
    since, until = _window(ctx, request, pool)
    reasons = _ineligibility(pool, criteria, aliases, ctx.now)
    eligible = [who for who, reason in reasons.items() if reason is None]
    starts = (
        openings(eligible, pool) if openings else _first_starts(db, ctx, request, eligible, (since, until))
    )
    circumstances = Circumstances(
        criteria=criteria,
        since=since,
        until=request.preferred_end_time,
        requester_zone=zone(pool.requester_zone or ctx.policies.default_time_zone),
        known=pool.known,
        aliases=aliases,
    )
    candidates = _candidates(pool, criteria, {**starts, **{who: one for who, one in reasons.items() if one}})
    weights = weights_of(ctx, service_type)
    scored = scored_candidates(candidates, pool.profiles, pool.balances, circumstances, weights)
    return Evaluation(scored, pool.profiles, pool.balances, circumstances, weights)


def _ineligibility(
    pool: store.Pool, criteria: Criteria, aliases: Aliases, now: datetime
) -> dict[UUID, str | None]:
    """All consultants with the reason why each is not eligible now, whatever the start, or None."""
    reasons: dict[UUID, str | None] = {}
    for who, profile in pool.profiles.items():
        reason = ineligibility_reason(profile, criteria, aliases) or exclusion_reason(profile, criteria, now)
        is_full = profile.capacity is not None and pool.loads.get(who, 0) >= profile.capacity
        reasons[who] = Ineligibility.AT_CAPACITY if reason is None and is_full else reason
    return reasons


def _candidates(
    pool: store.Pool, criteria: Criteria, openings: Mapping[UUID, Sequence[Span] | str]
) -> Iterable[Candidate]:
    """One candidate for each consultant, with their starts, or the reason why they have none."""
    for who, profile in pool.profiles.items():
        opening = openings[who]
        yield Candidate(
            consultant_user_id=who,
            preferred=who == criteria.preferred,
            load=pool.loads.get(who, 0),
            starts=() if isinstance(opening, str) else tuple(opening),
            rejected=opening if isinstance(opening, str) else None,
            must_confirm=who in pool.must_confirm,
            capacity=profile.capacity,
        )


def _first_starts(
    db: Session, ctx: Context, request: ConsultationRequest, eligible: Sequence[UUID], window: Span
) -> dict[UUID, Sequence[Span] | str]:
    """The first free starts of each consultant, at which the requester is free as well."""
    free = store.first_free_starts(db, eligible, request, *window, ctx.now, STARTS_EACH)
    return {
        who: free.by_consultant.get(who)
        or (Ineligibility.REQUESTER_BUSY if who in free.requester_busy else Ineligibility.NO_FREE_TIME)
        for who in eligible
    }


def _window(ctx: Context, request: ConsultationRequest, pool: store.Pool) -> Span:
    """The span of the starts. A hold or an offer ends where its session starts, so it needs time before."""
    earliest = ctx.now + _INSTANT if pool.must_confirm or request.waiting_since else ctx.now
    start = max(earliest, request.preferred_start_time or earliest)
    return start, request.preferred_end_time or ctx.now + ctx.policies.horizon


def ineligibility_reasons(db: Session, criteria: Criteria) -> dict[UUID, str | None]:
    """All consultants with the reason why each can never serve such a request, or None. Locks nothing."""
    profiles = store.profiles(db)
    aliases = _aliases(db, profiles.values(), criteria)
    return {who: ineligibility_reason(one, criteria, aliases) for who, one in profiles.items()}


def ineligibility_for_request(db: Session, request: ConsultationRequest, who: UUID) -> str | None:
    """Why one consultant can never serve a request, or None. Locks nothing."""
    criteria = criteria_of(request)
    reason = ineligibility_reasons(db, criteria).get(who)
    return reason or (Ineligibility.EXCLUDED if who in criteria.excluded else None)


def current_ineligibility_reason(
    consultant: Consultant, request: ConsultationRequest, aliases: Aliases, now: datetime
) -> str | None:
    """Why a consultant cannot serve a request now, whatever the start, or None. Reads nothing."""
    profile, criteria = store.profile_of(consultant), criteria_of(request)
    return ineligibility_reason(profile, criteria, aliases) or exclusion_reason(profile, criteria, now)


def aliases_for(
    db: Session, consultants: Iterable[Consultant], requests: Iterable[ConsultationRequest]
) -> Aliases:
    """The aliases of all specializations that are offered and required."""
    offered = (name for one in consultants for name in one.specializations)
    return ledger.aliases(
        db, [*offered, *(name for one in requests for name in one.required_specializations)]
    )


def _aliases(db: Session, profiles: Iterable[Profile], criteria: Criteria) -> dict[str, str]:
    offered = (name for one in profiles for name in one.specializations)
    return ledger.aliases(db, [*offered, *criteria.required_specializations])


def criteria_of(request: ConsultationRequest) -> Criteria:
    """The criteria of a request."""
    return Criteria(
        requester_user_id=request.requester_user_id,
        service_type_id=request.consultation_service_type_id,
        company_id=request.company_id,
        preferred=request.preferred_consultant_user_id,
        fallback=request.preferred_fallback,
        fallback_after=request.fallback_after,
        required_specializations=tuple(request.required_specializations),
        languages=tuple(request.languages),
        excluded=frozenset(request.excluded_consultant_user_ids),
    )


def weights_of(ctx: Context, service_type: ServiceType) -> Weights:
    """The weights of the deployment, with the changes of the service type."""
    weights = ctx.policies.assignment_weights
    if not service_type.assignment_weights:
        return weights
    own = service_type.assignment_weights
    return weights.with_changes({term: own[term] for term in Term if term in own})
