"""Reads a batch: the waiting requests, who could serve them when, and the score of each pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import store as assignment_store
from booking_tasks.assignment.evaluation import criteria_of, weights_of
from booking_tasks.assignment.rules import Criteria, exclusion_reason, ineligibility_reason
from booking_tasks.availability import store as ledger
from booking_tasks.batch import store as batch_store
from booking_tasks.batch.plan import SCORE_MOST, Batch
from booking_tasks.batch.problem import (
    Claim,
    MatchingProblem,
    OfferedServiceType,
    is_disjoint,
    spread_openings,
    widening_spans,
)
from booking_tasks.batch.scoring import (
    Acquaintances,
    ScoreInputs,
    balances_from_rows,
    group_by_subject,
    queue_positions_of,
)
from booking_tasks.context import Context
from booking_tasks.enums import Fallback
from booking_tasks.kit.instants import Span
from booking_tasks.kit.time_zones import zone
from booking_tasks.models import ConsultationRequest, ServiceType

#: The most pairs of a batch. Beyond it each request considers fewer starts, and the batch is not complete.
PAIRS_MOST = 200_000
#: The most starts of one service type that are read.
OPENINGS_MOST = 400_000
#: The part of the highest score that goes to the request that has waited longest; it decides between equals.
WAITING_SHARE = SCORE_MOST // 1_000
#: Where there are too many starts, one in so many belongs to the preferred consultant.
PREFERRED_SHARE = 4

_NOBODY = UUID(int=0)
_INSTANT = timedelta(microseconds=1)
Reasons = Mapping[UUID, str | None]
Shape = tuple[UUID, frozenset[int], datetime, datetime, datetime | None]


@dataclass(frozen=True)
class BatchSnapshot:
    """A batch as it was read. The sequences have one entry for each request, in the order of `requests`.

    `versions`: when the request was last changed. `reasons`: why a consultant cannot serve it. `complete`:
    whether all its starts were considered. `busy`: the places of the consultants who are free only while the
    requester is not.
    """

    now: datetime
    requests: Sequence[ConsultationRequest]
    versions: Sequence[datetime | None]
    claims: Sequence[Claim]
    reasons: Sequence[Reasons]
    complete: Sequence[bool]
    busy: Sequence[frozenset[int]]
    must_confirm: Mapping[UUID, frozenset[UUID]]
    loads: Mapping[UUID, int]
    score_inputs: ScoreInputs
    problem: MatchingProblem
    batch: Batch


def read(db: Session, ctx: Context, ids: Sequence[UUID]) -> BatchSnapshot:
    """The batch of these requests, without those whose service type is no longer active. Locks nothing."""
    found = batch_store.requests(db, ids) if ids else []
    service_types = batch_store.service_types(db, {one.consultation_service_type_id for one in found})
    requests = [one for one in found if service_types[one.consultation_service_type_id].is_active]
    reader = _Reader(db, ctx, requests)
    if requests:
        reader.read_people(service_types)
        reader.read_openings()
    return reader.snapshot()


class _Reader:
    def __init__(self, db: Session, ctx: Context, requests: Sequence[ConsultationRequest]) -> None:
        self._db, self._ctx, self._now, self._requests = db, ctx, ctx.now, requests
        self._criteria = [criteria_of(one) for one in requests]
        own = zone(ctx.policies.default_time_zone)
        self._score_inputs = ScoreInputs({}, {}, Acquaintances({}, {}), {}, {}, {}, own)
        self._problem = MatchingProblem([])
        self._places: dict[UUID, int] = {}
        self._terms: dict[UUID, Mapping[UUID, batch_store.BookingTerms]] = {}
        self._loads: dict[UUID, int] = {}
        self._reasons: list[Reasons] = []
        self._claims: list[Claim] = []
        self._openings: dict[Shape, list[int]] = {}
        self._reach: dict[Shape, int] = {}
        self._read_until: dict[UUID, datetime] = {}
        self._busy: list[frozenset[int]] = [frozenset()] * len(requests)
        self._complete = [True] * len(requests)

    def snapshot(self) -> BatchSnapshot:
        """Return everything that was read, with the scored pairs."""
        return BatchSnapshot(
            now=self._now,
            requests=self._requests,
            versions=[one.updated_at for one in self._requests],
            claims=self._claims,
            reasons=self._reasons,
            complete=self._complete,
            busy=self._busy,
            must_confirm={
                service_type: frozenset(who for who, one in terms.items() if one.must_confirm)
                for service_type, terms in self._terms.items()
            },
            loads=self._loads,
            score_inputs=self._score_inputs,
            problem=self._problem,
            batch=self._problem.batch(self._claims, self._pairs()),
        )

    def read_people(self, service_types: Mapping[UUID, ServiceType]) -> None:
        """Read all consultants with their inputs of the score, and decide who cannot serve which request."""
        db, all_criteria = self._db, self._criteria
        profiles = assignment_store.profiles(db)
        offered = [name for one in profiles.values() for name in one.specializations]
        requesters = sorted({one.requester_user_id for one in all_criteria})
        companies = sorted({one.company_id for one in all_criteria if one.company_id})
        service_type_ids = sorted({one.service_type_id for one in all_criteria})
        self._score_inputs = ScoreInputs(
            profiles=profiles,
            aliases=ledger.aliases(
                db, [*offered, *(name for one in all_criteria for name in one.required_specializations)]
            ),
            acquaintances=Acquaintances(
                group_by_subject(batch_store.known_requesters(db, requesters)),
                group_by_subject(batch_store.known_companies(db, companies)),
            ),
            zones={who: zone(name) for who, name in batch_store.zones(db, requesters).items()},
            weights={id_: weights_of(self._ctx, service_types[id_]) for id_ in service_type_ids},
            balances={id_: balances_from_rows(batch_store.balances(db, id_)) for id_ in service_type_ids},
            default_zone=self._score_inputs.default_zone,
        )
        limited = {who: one.capacity for who, one in profiles.items() if one.capacity is not None}
        self._loads = batch_store.loads(db, list(limited), self._now)
        left = {who: most - self._loads.get(who, 0) for who, most in limited.items()}
        self._problem = MatchingProblem(list(profiles), capacities=left)
        self._places = {who: place for place, who in enumerate(profiles)}
        self._terms = {id_: batch_store.terms(db, list(profiles), id_, self._now) for id_ in service_type_ids}
        self._evaluate_eligibility()

    def _evaluate_eligibility(self) -> None:
        known: dict[Criteria, tuple[Reasons, frozenset[int]]] = {}
        for request, criteria in zip(self._requests, self._criteria, strict=True):
            alike = replace(
                criteria,
                requester_user_id=criteria.requester_user_id
                if criteria.requester_user_id in self._places
                else _NOBODY,
                preferred=None if criteria.fallback == Fallback.ANYONE else criteria.preferred,
            )
            if alike not in known:
                found = {who: self._ineligibility_reason(who, alike) for who in self._places}
                able = (self._places[who] for who, reason in found.items() if reason is None)
                known[alike] = (found, frozenset(able))
            reasons, fit = known[alike]
            self._reasons.append(reasons)
            self._claims.append(self._claim(request, fit))

    def _ineligibility_reason(self, who: UUID, criteria: Criteria) -> str | None:
        one = self._score_inputs.profiles[who]
        reason = ineligibility_reason(one, criteria, self._score_inputs.aliases) or exclusion_reason(
            one, criteria, self._now
        )
        if reason is None and self._problem.capacities.get(who, 1) <= 0:
            return "at_capacity"
        return reason

    def _claim(self, request: ConsultationRequest, fit: frozenset[int]) -> Claim:
        """The claim of a request. A start that must be confirmed or accepted must lie after the present."""
        earliest = self._now + _INSTANT
        return Claim(
            requester_user_id=request.requester_user_id,
            service_type_id=request.consultation_service_type_id,
            fit=fit,
            low=max(earliest, request.preferred_start_time or earliest),
            high=request.preferred_end_time or self._now + self._ctx.policies.horizon,
            latest=request.preferred_end_time,
        )

    def read_openings(self) -> None:
        """Read the starts of every service type."""
        for service_type in self._terms:
            self._read_openings(service_type)

    def _read_openings(self, service_type_id: UUID) -> None:
        """Read the starts in ever wider spans, until more of them would serve no further request."""
        mine = [one for one in self._claims if one.service_type_id == service_type_id and one.fit]
        pending = dict.fromkeys((one.shape for one in mine if one.low < one.high), 0)
        if not pending:
            return
        start, end = min(shape[2] for shape in pending), max(shape[3] for shape in pending)
        consultants = sorted({self._problem.consultants[place] for shape in pending for place in shape[1]})
        service_type = self._offered_service_type(service_type_id, consultants, start, end)
        enough = self._enough(service_type_id)
        room = OPENINGS_MOST
        for since, until in widening_spans(start, end):
            if not any(shape[3] > since for shape in pending):
                break
            rows = ledger.free_starts(self._db, consultants, service_type_id, since, until, self._now, room)
            here = self._problem.count_disjoint(self._problem.add(service_type, rows, self._places))
            room -= len(rows)
            if not room:
                break
            self._read_until[service_type_id] = until
            pending = {
                shape: count + (sum(here.get(who, 0) for who in shape[1]) if shape[2] <= since else 0)
                for shape, count in pending.items()
                if count < enough
            }

    def _enough(self, service_type_id: UUID) -> int:
        """How many starts that do not overlap leave one for each request, whatever the others get.

        A session that lasts r times as long occupies at most r + 1 of them.
        """
        every = [terms.length for service_type in self._terms.values() for terms in service_type.values()]
        longest, shortest = max(every), min(terms.length for terms in self._terms[service_type_id].values())
        return (-(-longest // shortest) + 1) * len(self._requests)

    def _offered_service_type(
        self, service_type_id: UUID, who: Sequence[UUID], start: datetime, end: datetime
    ) -> OfferedServiceType:
        terms = self._terms[service_type_id]
        limited = [one for one in who if terms[one].limited]
        used = batch_store.used(self._db, limited, service_type_id, start, end, self._now) if limited else {}
        return OfferedServiceType(service_type_id, terms, used)

    def _pairs(self) -> Iterator[tuple[int, int, int]]:
        """(request, opening, score) of each pair; also notes who is free only while the requester is not."""
        if not self._problem.starts:
            return
        taken = ledger.occupied_spans(
            self._db,
            {one.requester_user_id for one in self._claims},
            min(self._problem.starts),
            max(self._problem.ends),
            self._now,
        )
        offered = batch_store.offered_before(self._db, [one.id for one in self._requests])
        positions = {
            service_type: queue_positions_of(self._problem, service_type, balances)
            for service_type, balances in self._score_inputs.balances.items()
        }
        alike = Counter(one.shape for one in self._claims)
        passed: Counter[Shape] = Counter()
        for place, claim in enumerate(self._claims):
            mine = self._considered_openings(place, passed[claim.shape], alike[claim.shape])
            passed[claim.shape] += 1
            free = self._free(place, mine, taken.get(claim.requester_user_id, ()))
            if offered:
                free = [one for one in free if self._key(place, one) not in offered]
            circumstances = self._score_inputs.circumstances(self._criteria[place], claim.low, claim.latest)
            shares = self._score_inputs.pair_scores(
                self._problem, free, circumstances, positions[claim.service_type_id]
            )
            waited = WAITING_SHARE * (len(self._claims) - 1 - place) // len(self._claims)
            for opening, share in zip(free, shares, strict=True):
                yield place, opening, int((SCORE_MOST - WAITING_SHARE) * share) + waited

    def _considered_openings(self, place: int, number: int, of: int) -> Sequence[int]:
        """The openings that a request is paired with: all of them where the batch is small enough."""
        claim, everyone = self._claims[place], len(self._claims)
        if claim.shape not in self._openings:
            self._openings[claim.shape] = self._problem.matching(claim)
        openings, quota = self._openings[claim.shape], max(1, PAIRS_MOST // everyone)
        read = self._read_until.get(claim.service_type_id, claim.low)
        self._complete[place] = len(openings) <= quota and (read >= claim.high or not claim.fit)
        if len(openings) <= quota:
            return openings
        if claim.shape not in self._reach:
            self._reach[claim.shape] = self._problem.reach(openings, everyone)
        chosen = spread_openings(openings, number, of, self._reach[claim.shape], quota)
        preferred = self._places.get(self._criteria[place].preferred or _NOBODY)
        first = [one for one in openings if self._problem.consultant_places[one] == preferred][
            : quota // PREFERRED_SHARE
        ]
        return sorted({*chosen[: quota - len(first)], *first}) if first else chosen

    def _free(self, place: int, openings: Sequence[int], spans: Sequence[Span]) -> Sequence[int]:
        """The openings at which the requester is free."""
        if not spans:
            return openings
        problem = self._problem
        free = [one for one in openings if is_disjoint(spans, problem.starts[one], problem.ends[one])]
        self._busy[place] = frozenset(problem.consultant_places[one] for one in openings) - {
            problem.consultant_places[one] for one in free
        }
        return free

    def _key(self, place: int, opening: int) -> tuple[UUID, UUID, datetime]:
        who = self._problem.consultants[self._problem.consultant_places[opening]]
        return self._requests[place].id, who, self._problem.starts[opening]
