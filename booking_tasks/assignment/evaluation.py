"""Looking at everyone for one request: the candidates with their terms, under the pool's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import store
from booking_tasks.assignment.eligibility import Criteria, Profile, exclusion_reason
from booking_tasks.assignment.eligibility import ineligibility_reason as never
from booking_tasks.assignment.rules import Candidate, Start, ranked, scored_candidates
from booking_tasks.assignment.scoring import Circumstances
from booking_tasks.availability import store as ledger
from booking_tasks.availability.rules import NO_ALIASES, Aliases
from booking_tasks.context import Context, Weights
from booking_tasks.credits.rules import Balance
from booking_tasks.enums import Term
from booking_tasks.kit.time_zones import zone
from booking_tasks.models import Consultant, ConsultationRequest, ServiceType

#: How many starts of one consultant are tried before the next candidate's turn.
STARTS_EACH = 5
#: Those who are fit, and what is known of them -> their starts, or why they have none.
Openings = Callable[[Sequence[UUID], store.Facts], Mapping[UUID, Sequence[Start] | str]]
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Evaluation:
    """Everyone as they stood at one moment, and what their scores are made of."""

    candidates: tuple[Candidate, ...]
    profiles: dict[UUID, Profile]
    balances: dict[UUID, Balance]
    circumstances: Circumstances
    weights: Weights

    def best(self) -> Candidate | None:
        """Who should have it."""
        return next(iter(ranked(self.candidates)), None)

    def without(self, candidate: Candidate, reason: str) -> Evaluation:
        """The same without one who turned out not to be free; the others are scored anew."""
        who = candidate.consultant_user_id
        left = (
            replace(one, rejected=reason, terms={}, total=0.0) if one.consultant_user_id == who else one
            for one in self.candidates
        )
        return replace(self, candidates=self.scored(left))

    def with_start(self, who: UUID, start: Start) -> Evaluation:
        """The same as if one of them had this start."""
        wanted = (
            replace(one, rejected=None, starts=(start,)) if one.consultant_user_id == who else one
            for one in self.candidates
        )
        return replace(self, candidates=self.scored(wanted))

    def of(self, who: UUID | None) -> Candidate | None:
        """One of them."""
        return next((one for one in self.candidates if one.consultant_user_id == who), None)

    def total(self, candidate: Candidate) -> float:
        """What one of them scores here."""
        found = self.of(candidate.consultant_user_id)
        return found.total if found else 0.0

    def scored(self, candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
        """Candidates with their terms and totals under these circumstances."""
        return tuple(
            scored_candidates(candidates, self.profiles, self.balances, self.circumstances, self.weights)
        )


def evaluate(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    service_type: ServiceType,
    openings: Openings | None = None,
) -> Evaluation:
    """Everyone, with terms and starts, or the first reason why not.

    `openings` says at which starts those who are fit could take it, or why not; by default at their first
    free ones. Locks the pool: whoever looks for the same kind of consultation waits until this transaction
    is over.
    """
    wish, now = criteria_of(request), ctx.now
    pool = store.lock_pool(db, wish, now)
    profiles, known = pool.profiles, pool.facts
    aliases = _aliases(db, profiles.values(), wish) if known.has_aliases else NO_ALIASES
    reasons = {
        who: never(one, wish, aliases) or exclusion_reason(one, wish, now) for who, one in profiles.items()
    }
    for who, one in profiles.items():
        if reasons[who] is None and one.capacity is not None and known.loads.get(who, 0) >= one.capacity:
            reasons[who] = "at_capacity"
    since, until = _window(ctx, request, known)
    left = [who for who, reason in reasons.items() if reason is None]
    open_at = openings(left, known) if openings else _free(db, ctx, request, left, (since, until))
    about = Circumstances(
        criteria=wish,
        since=since,
        until=request.preferred_end_time,
        requester_zone=zone(known.requester_zone or ctx.policies.default_time_zone),
        known=known.known,
        aliases=aliases,
    )
    found = []
    for who, reason in reasons.items():
        opening = open_at[who] if reason is None else reason
        found.append(
            Candidate(
                consultant_user_id=who,
                preferred=who == wish.preferred,
                load=known.loads.get(who, 0),
                starts=() if isinstance(opening, str) else tuple(opening),
                rejected=opening if isinstance(opening, str) else None,
                must_confirm=who in known.confirming,
                capacity=profiles[who].capacity,
            )
        )
    seen = Evaluation(tuple(found), profiles, pool.balances, about, weights_of(ctx, service_type))
    return replace(seen, candidates=seen.scored(found))


def _free(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    fit: Sequence[UUID],
    window: Start,
) -> dict[UUID, Sequence[Start] | str]:
    """The first free starts of each, at which the requester is free as well."""
    free = store.first_free_starts(
        db,
        fit,
        request,
        *window,
        ctx.now,
        STARTS_EACH,
    )
    none = {who: "requester_busy" if who in free.requester_busy else "no_free_time" for who in fit}
    return {**none, **free.by_consultant}


def ineligibility_reasons(db: Session, wish: Criteria) -> dict[UUID, str | None]:
    """Everyone, with the first reason why they cannot serve a wish as they are, or None. Locks nothing."""
    profiles = store.profiles(db)
    aliases = _aliases(db, profiles.values(), wish)
    return {who: never(one, wish, aliases) for who, one in profiles.items()}


def ineligibility_for_request(db: Session, request: ConsultationRequest, who: UUID) -> str | None:
    """Why one consultant can never serve a request, whatever the hour, or None. Locks nothing."""
    wish = criteria_of(request)
    return ineligibility_reasons(db, wish).get(who) or ("excluded" if who in wish.excluded else None)


def current_ineligibility_reason(
    consultant: Consultant, request: ConsultationRequest, aliases: Aliases, now: datetime
) -> str | None:
    """Why a consultant cannot serve a request now, whatever the hour, or None. For many at once."""
    one, wish = store.profile_of(consultant), criteria_of(request)
    return never(one, wish, aliases) or exclusion_reason(one, wish, now)


def aliases_for(
    db: Session, consultants: Iterable[Consultant], requests: Iterable[ConsultationRequest]
) -> Aliases:
    """The aliases among all that is offered and required."""
    offered = (word for one in consultants for word in one.specializations)
    return ledger.aliases(
        db, [*offered, *(word for one in requests for word in one.required_specializations)]
    )


def _aliases(db: Session, profiles: Iterable[Profile], wish: Criteria) -> dict[str, str]:
    words = (word for one in profiles for word in one.specializations)
    return ledger.aliases(db, [*words, *wish.required_specializations])


def criteria_of(request: ConsultationRequest) -> Criteria:
    """A request as the choice sees it."""
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
    """The deployment's weights, as this kind of consultation changes them."""
    given = service_type.assignment_weights or {}
    own: dict[str, float] = {term: given[term] for term in Term if term in given}
    return ctx.policies.assignment_weights.with_changes(own)


def _window(ctx: Context, request: ConsultationRequest, known: store.Facts) -> tuple[datetime, datetime]:
    """In which starts are wanted. A hold ends where its session starts: who is asked needs time before."""
    earliest = ctx.now + _INSTANT if known.confirming or request.waiting_since else ctx.now
    start = max(earliest, request.preferred_start_time or earliest)
    return start, request.preferred_end_time or ctx.now + ctx.policies.horizon
