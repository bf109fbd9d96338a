"""Asking those who wait about a consultant's free time: the best first, one start in a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.assignment.evaluation import criteria_of, weights_of
from booking_tasks.assignment.rules import Candidate, Circumstances, specialization_closeness
from booking_tasks.assignment.store import profile_of
from booking_tasks.availability import store as ledger
from booking_tasks.availability.rules import Aliases
from booking_tasks.availability.service import Refusal
from booking_tasks.context import Context
from booking_tasks.enums import RequestStatus, Term
from booking_tasks.kit.instants import Span
from booking_tasks.kit.savepoints import savepoint
from booking_tasks.models import Consultant, ConsultationRequest, ServiceType
from booking_tasks.offers import service as offers
from booking_tasks.outbox.capacity_released import record_capacity_released
from booking_tasks.requests.store import locked_request
from booking_tasks.waiting import store
from booking_tasks.waiting.rules import Wish, matches, terms_of

_INSTANT = timedelta(microseconds=1)
#: More free starts of one consultant and kind are not looked at in one go.
_MOST_STARTS = 5000
#: Refusals that are about the request; every other one is about the start, and holds for everyone.
_OF_THE_REQUEST = frozenset({"not_waiting", "offer_open", "offered_before", "requester_busy"})


def offer_freed(db: Session, ctx: Context, consultant_user_id: UUID) -> UUID | None:
    """Give one free start of a consultant to the best of those who wait; the request's id, or None.

    One in a transaction, because a request is locked before any consultant: what is left for others is
    noted again. Whoever is overtaken goes on to the next start or the next request.
    """
    consultant = store.consultant(db, consultant_user_id)
    if consultant is None or not consultant.is_available_for_booking:
        return None
    waiting = store.waiting_requests(db, ctx.now)
    aliases = assignment.aliases_for(db, [consultant], waiting)
    requests = {
        one.id: one
        for one in waiting
        if assignment.current_ineligibility_reason(consultant, one, aliases, ctx.now) is None
    }
    kinds = store.active_kinds(db, {one.consultation_service_type_id for one in requests.values()})
    wishes = _wishes(db, ctx, consultant, requests, kinds, aliases)
    if not wishes:
        return None
    starts = {kind: _starts(db, ctx, consultant, kind, wishes) for kind in kinds}
    gone: set[tuple[UUID, datetime]] = set()
    for wish, start, end in matches(wishes, starts):
        kind = kinds[wish.service_type_id]
        if (kind.id, start) in gone:
            continue
        given = _given(db, ctx, wish, kind, consultant, (start, end))
        if isinstance(given, Refusal):
            if given.code == "at_capacity":
                return None
            if given.code not in _OF_THE_REQUEST:
                gone.add((kind.id, start))
            continue
        if len(wishes) > 1:
            record_capacity_released(db, ctx, [consultant_user_id], "more")
        return wish.request_id
    return None


def _wishes(
    db: Session,
    ctx: Context,
    consultant: Consultant,
    requests: Mapping[UUID, ConsultationRequest],
    kinds: Mapping[UUID, ServiceType],
    aliases: Aliases,
) -> list[Wish]:
    """The requests as the rules see them: of kinds that are offered, with what speaks for each."""
    who, found = consultant.consultant_user_id, requests.values()
    busy = store.busy_spans(db, {one.requester_user_id for one in found}, ctx.now)
    asked = store.asked_starts(db, requests.keys(), who)
    known = store.known(db, who, found)
    profile = profile_of(consultant)
    wishes = []
    for one in found:
        kind = kinds.get(one.consultation_service_type_id)
        if kind is None:
            continue
        about = Circumstances(criteria_of(one), ctx.now, None, UTC, {}, aliases)
        wishes.append(
            Wish(
                request_id=one.id,
                service_type_id=kind.id,
                waiting_since=one.waiting_since or one.requested_at,
                terms=terms_of(
                    preferred=about.criteria.preferred == who,
                    known=known.get(one.id, 0.0),
                    closeness=specialization_closeness(profile, about),
                ),
                weights=weights_of(ctx, kind),
                earliest=one.preferred_start_time,
                latest_end=one.preferred_end_time,
                busy=busy.get(one.requester_user_id, ()),
                asked=asked.get(one.id, frozenset()),
            )
        )
    return wishes


def _starts(
    db: Session, ctx: Context, consultant: Consultant, kind_id: UUID, wishes: Sequence[Wish]
) -> list[Span]:
    """The consultant's free starts in all that the wishes of a kind could use, as the one judge has them."""
    ours = [one for one in wishes if one.service_type_id == kind_id]
    soonest = ctx.now + _INSTANT  # an offer ends where its session starts
    horizon = ctx.now + ctx.policies.horizon
    start = max(soonest, min(one.earliest or soonest for one in ours))
    end = max(one.latest_end or horizon for one in ours)
    who = consultant.consultant_user_id
    found = ledger.free_starts(db, [who], kind_id, start, end, ctx.now, _MOST_STARTS)
    return [(begins, ends) for _, begins, ends in found]


def _given(
    db: Session, ctx: Context, wish: Wish, kind: ServiceType, consultant: Consultant, span: Span
) -> assignment.Assignment | Refusal:
    """Give a start to a request, once it is locked and waits still; else all locks come back."""
    who = consultant.consultant_user_id
    with savepoint(db) as attempt:
        request = locked_request(db, wish.request_id)
        given: assignment.Assignment | Refusal = Refusal("not_waiting")
        if request is not None and _waits(db, ctx, request, consultant):
            asking = ledger.confirming_consultants(db, [who], kind.id, ctx.now)
            candidate = Candidate(
                who,
                wish.terms[Term.PREFERENCE] > 0,
                0,
                starts=(span,),
                must_confirm=who in asking,
                terms=wish.terms,
                total=wish.score,
                capacity=consultant.assignment_capacity,
            )
            given = assignment.book_or_offer(db, ctx, request, kind, candidate, span)
            if not isinstance(given, Refusal):
                assignment.record_decision(db, ctx, request, [candidate], given, candidate, span[0])
                return given
        attempt.discard()
    return given


def _waits(db: Session, ctx: Context, request: ConsultationRequest, consultant: Consultant) -> bool:
    """Whether a request that is locked now still waits, and for somebody like this consultant."""
    aliases = assignment.aliases_for(db, [consultant], [request])
    ends = (request.deadline_at, request.preferred_end_time)
    return (
        request.status == RequestStatus.PENDING_ASSIGNMENT
        and request.waiting_since is not None
        and all(end is None or end > ctx.now for end in ends)
        and not offers.has_offer_or_cooldown(db, ctx, request)
        and assignment.current_ineligibility_reason(consultant, request, aliases, ctx.now) is None
    )
