"""Offers the free time of a consultant to waiting requests: the best one first, one start a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.assignment.evaluation import criteria_of, weights_of
from booking_tasks.assignment.rules import Candidate, Circumstances, Ineligibility, specialization_closeness
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
from booking_tasks.waiting.rules import WaitingRequest, matching_starts, waiting_terms

_INSTANT = timedelta(microseconds=1)
#: The most free starts of one consultant and service type that one job reads.
_MOST_STARTS = 5000
#: Refusals that concern the request; every other one concerns the start, and so all requests.
_OF_THE_REQUEST = frozenset({"not_waiting", "offer_open", "offered_before", "requester_busy"})


def offer_released_time(db: Session, ctx: Context, consultant_user_id: UUID) -> UUID | None:
    """Book or offer one free start of a consultant to the best waiting request; returns its id, or None.

    One start a transaction, because a request is locked before any consultant; another job is recorded
    for the other requests. A start that is lost meanwhile is skipped, and so is a request.
    """
    consultant = store.consultant(db, consultant_user_id)
    if consultant is None or not consultant.is_available_for_booking:
        return None
    found = store.waiting_requests(db, ctx.now)
    aliases = assignment.aliases_for(db, [consultant], found)
    requests = {
        one.id: one
        for one in found
        if assignment.current_ineligibility_reason(consultant, one, aliases, ctx.now) is None
    }
    service_type_ids = {one.consultation_service_type_id for one in requests.values()}
    service_types = store.active_service_types(db, service_type_ids)
    all_waiting = _waiting_requests(db, ctx, consultant, requests, service_types, aliases)
    if not all_waiting:
        return None
    starts = {one: _starts(db, ctx, consultant, one, all_waiting) for one in service_types}
    gone: set[tuple[UUID, datetime]] = set()
    for waiting, start, end in matching_starts(all_waiting, starts):
        service_type = service_types[waiting.service_type_id]
        if (service_type.id, start) in gone:
            continue
        taken = _book_or_offer(db, ctx, waiting, service_type, consultant, (start, end))
        if isinstance(taken, Refusal):
            if taken.code == Ineligibility.AT_CAPACITY:
                return None
            if taken.code not in _OF_THE_REQUEST:
                gone.add((service_type.id, start))
            continue
        if len(all_waiting) > 1:
            record_capacity_released(db, ctx, [consultant_user_id], "more")
        return waiting.request_id
    return None


def _waiting_requests(
    db: Session,
    ctx: Context,
    consultant: Consultant,
    requests: Mapping[UUID, ConsultationRequest],
    service_types: Mapping[UUID, ServiceType],
    aliases: Aliases,
) -> list[WaitingRequest]:
    """The requests of active service types, with the terms of their scores."""
    who, found = consultant.consultant_user_id, requests.values()
    requesters = {one.requester_user_id for one in found}
    busy = ledger.occupied_spans(db, requesters, ctx.now, None, ctx.now)
    offered = store.offered_starts(db, requests.keys(), who)
    familiarity = store.familiarity(db, who, found)
    profile = profile_of(consultant)
    all_waiting = []
    for one in found:
        service_type = service_types.get(one.consultation_service_type_id)
        if service_type is None:
            continue
        about = Circumstances(criteria_of(one), ctx.now, None, UTC, {}, aliases)
        all_waiting.append(
            WaitingRequest(
                request_id=one.id,
                service_type_id=service_type.id,
                waiting_since=one.waiting_since or one.requested_at,
                terms=waiting_terms(
                    preferred=about.criteria.preferred == who,
                    familiarity=familiarity.get(one.id, 0.0),
                    closeness=specialization_closeness(profile, about),
                ),
                weights=weights_of(ctx, service_type),
                earliest=one.preferred_start_time,
                latest_end=one.preferred_end_time,
                busy=busy.get(one.requester_user_id, ()),
                offered=offered.get(one.id, frozenset()),
            )
        )
    return all_waiting


def _starts(
    db: Session,
    ctx: Context,
    consultant: Consultant,
    service_type_id: UUID,
    all_waiting: Sequence[WaitingRequest],
) -> list[Span]:
    """The free starts of the consultant in the whole time that requests of a service type could use."""
    ours = [one for one in all_waiting if one.service_type_id == service_type_id]
    soonest = ctx.now + _INSTANT  # an offer ends where its session starts
    horizon = ctx.now + ctx.policies.horizon
    start = max(soonest, min(one.earliest or soonest for one in ours))
    end = max(one.latest_end or horizon for one in ours)
    who = consultant.consultant_user_id
    found = ledger.free_starts(db, [who], service_type_id, start, end, ctx.now, _MOST_STARTS)
    return [(begins, ends) for _, begins, ends in found]


def _book_or_offer(
    db: Session,
    ctx: Context,
    waiting: WaitingRequest,
    service_type: ServiceType,
    consultant: Consultant,
    span: Span,
) -> assignment.Assignment | Refusal:
    """Book or offer a start to a request that still waits once it is locked; else release all locks."""
    who = consultant.consultant_user_id
    with savepoint(db) as attempt:
        request = locked_request(db, waiting.request_id)
        taken: assignment.Assignment | Refusal = Refusal("not_waiting")
        if request is not None and _is_waiting(db, ctx, request, consultant):
            asking = ledger.confirming_consultants(db, [who], service_type.id, ctx.now)
            candidate = Candidate(
                who,
                waiting.terms[Term.PREFERENCE] > 0,
                0,
                starts=(span,),
                must_confirm=who in asking,
                terms=waiting.terms,
                total=waiting.score,
                capacity=consultant.assignment_capacity,
            )
            taken = assignment.book_or_offer(db, ctx, request, service_type, candidate, span)
            if not isinstance(taken, Refusal):
                assignment.record_decision(db, ctx, request, [candidate], taken, candidate, span[0])
                return taken
        attempt.discard()
    return taken


def _is_waiting(db: Session, ctx: Context, request: ConsultationRequest, consultant: Consultant) -> bool:
    """Whether a locked request still waits, and this consultant is eligible for it."""
    aliases = assignment.aliases_for(db, [consultant], [request])
    ends = (request.deadline_at, request.preferred_end_time)
    return (
        request.status == RequestStatus.PENDING_ASSIGNMENT
        and request.waiting_since is not None
        and all(end is None or end > ctx.now for end in ends)
        and not offers.has_offer_or_cooldown(db, ctx, request)
        and assignment.current_ineligibility_reason(consultant, request, aliases, ctx.now) is None
    )
