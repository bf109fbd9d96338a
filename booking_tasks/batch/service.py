"""Plans the waiting requests as one batch and then carries out the plan request by request.

Reading and solving hold no lock, so a plan may be outdated when it is carried out. Each request is booked
under the locks and checks of a single assignment; one whose part of the plan is outdated is assigned alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.assignment.decisions import Assignment, AssignmentResult, fallback_cost, record_decision
from booking_tasks.assignment.evaluation import Evaluation, criteria_of, current_ineligibility_reason
from booking_tasks.assignment.rules import Candidate, Ineligibility, unassigned_reason
from booking_tasks.availability import store as ledger
from booking_tasks.availability.service import Refusal
from booking_tasks.batch import matching, store
from booking_tasks.batch.plan import NOT_SERVED, Solution
from booking_tasks.batch.reading import BatchSnapshot, read
from booking_tasks.context import Context
from booking_tasks.enums import RequestStatus
from booking_tasks.kit.instants import Span
from booking_tasks.models import Consultant, ConsultationRequest, ServiceType
from booking_tasks.offers.rules import NOT_TAKEN
from booking_tasks.requests import service as requests
from booking_tasks.requests.store import locked_request

#: The most requests of one batch; those that were evaluated longest ago come first.
REQUESTS_MOST = 5_000


@dataclass(frozen=True)
class BatchPlan:
    """A batch with its plan. `seconds` is the duration of solving, `others` the requests to assign alone.

    `batch_id` is set once the batch is stored.
    """

    snapshot: BatchSnapshot
    solution: Solution
    seconds: float
    others: tuple[UUID, ...] = ()
    batch_id: UUID | None = None

    @property
    def request_ids_to_apply(self) -> list[UUID]:
        """The requests for which the plan changes something, those that have waited longest first."""
        return [*(self.snapshot.requests[place].id for place in self._changing), *self.others]

    @property
    def unchanged(self) -> list[UUID]:
        """The requests that go on waiting, for the reason that is stored already."""
        changing = set(self._changing)
        return [one.id for place, one in enumerate(self.snapshot.requests) if place not in changing]

    @property
    def left(self) -> dict[str, list[str]]:
        """The ids of the requests that the plan does not serve, by reason.

        `no_start`: nobody has a start for them. `outmatched`: other requests got the starts.
        """
        found: dict[str, list[str]] = {}
        for place, request in enumerate(self.snapshot.requests):
            if self.solution.plan[place] == NOT_SERVED:
                reason = "outmatched" if self._pairs(place) else "no_start"
                found.setdefault(reason, []).append(str(request.id))
        return found

    @cached_property
    def _changing(self) -> list[int]:
        return [place for place in range(len(self.snapshot.requests)) if self._changes(place)]

    @cached_property
    def _places(self) -> dict[UUID, int]:
        return {one.id: place for place, one in enumerate(self.snapshot.requests)}

    def _changes(self, place: int) -> bool:
        request = self.snapshot.requests[place]
        return (
            self.solution.plan[place] != NOT_SERVED
            or not self.snapshot.complete[place]
            or request.status != RequestStatus.PENDING_ASSIGNMENT
            or request.status_reason not in self._reasons(place)
        )

    def _reasons(self, place: int) -> set[str]:
        """The stored reasons that mean that nothing changed: with and without a consultant who declined."""
        candidates = self.candidates(place)
        reasons = {
            unassigned_reason(candidates),
            unassigned_reason(candidates, self.snapshot.problem.consultants),
        }
        return reasons | NOT_TAKEN if Ineligibility.NO_FREE_TIME in reasons else reasons

    def candidates(self, place: int) -> list[Candidate]:
        """All consultants, as evaluated for one request: their first start, or why they have none."""
        snapshot, request, first = self.snapshot, self.snapshot.requests[place], self._first(place)
        must_confirm = snapshot.must_confirm[request.consultation_service_type_id]
        return [
            Candidate(
                consultant_user_id=who,
                preferred=who == request.preferred_consultant_user_id,
                load=snapshot.loads.get(who, 0),
                starts=(first[number],) if number in first else (),
                rejected=snapshot.reasons[place][who] or self._without(place, number, first),
                must_confirm=who in must_confirm,
                capacity=snapshot.score_inputs.profiles[who].capacity,
            )
            for number, who in enumerate(snapshot.problem.consultants)
        ]

    def _first(self, place: int) -> dict[int, Span]:
        """By place: the planned start of the chosen consultant and the first start of every other one."""
        snapshot, chosen = self.snapshot, self.solution.plan[place]
        pairs = [*reversed(self._pairs(place)), *([chosen] if chosen != NOT_SERVED else [])]
        openings = [snapshot.batch.pair_openings[pair] for pair in pairs]
        return {
            snapshot.problem.consultant_places[one]: (
                snapshot.problem.starts[one],
                snapshot.problem.ends[one],
            )
            for one in openings
        }

    def _without(self, place: int, number: int, first: dict[int, Span]) -> str | None:
        """Why an eligible consultant has no start: the other requests of the plan have all of theirs."""
        if number in first and self.solution.plan[place] != NOT_SERVED:
            return None
        return "requester_busy" if number in self.snapshot.busy[place] else "no_free_time"

    def _pairs(self, place: int) -> range:
        requests = self.snapshot.batch.pair_requests
        return range(bisect_left(requests, place), bisect_left(requests, place + 1))

    def certificate(self, place: int) -> dict[str, Any]:
        """How good the plan of this decision is; scores are in millionths of the highest score."""
        pair, solution = self.solution.plan[place], self.solution
        return {
            "id": str(self.batch_id) if self.batch_id else None,
            "requests": len(self.snapshot.requests),
            "served": solution.objective.served,
            "served_bound": solution.bound.served,
            "score": solution.objective.score,
            "score_bound": solution.bound.score,
            "method": solution.method,
            "pair_score": None if pair == NOT_SERVED else self.snapshot.batch.pair_scores[pair],
            "complete": self.snapshot.complete[place],
        }

    def _evaluation(self, request: ConsultationRequest, place: int) -> Evaluation:
        """The evaluation of one request, as a single assignment stores it, with the starts of the plan."""
        snapshot, claim = self.snapshot, self.snapshot.claims[place]
        inputs = snapshot.score_inputs
        evaluation = Evaluation(
            candidates=(),
            profiles=dict(inputs.profiles),
            balances=dict(inputs.balances[claim.service_type_id]),
            circumstances=inputs.circumstances(criteria_of(request), claim.low, claim.latest),
            weights=inputs.weights[claim.service_type_id],
        )
        return evaluation.with_candidates(self.candidates(place))

    def apply(self, db: Session, ctx: Context, request_id: UUID) -> Assignment:
        """Carry out the plan for one request; a request whose part of it is outdated is assigned alone."""
        request, place = locked_request(db, request_id), self._places.get(request_id)
        if request is not None:
            requests.ensure_deadline(ctx, request)
        if request is None or not assignment.is_assignable(db, ctx, request):
            return Assignment(AssignmentResult.NOTHING)
        service_type = ledger.service_type(db, request.consultation_service_type_id)
        if service_type is None or not service_type.is_active or place is None:
            return assignment.assign_locked(db, ctx, request)
        if not self._is_current(db, ctx, request, place):
            return assignment.assign_locked(db, ctx, request)
        return self._apply(db, ctx, request, service_type, place)

    def _apply(
        self, db: Session, ctx: Context, request: ConsultationRequest, service_type: ServiceType, place: int
    ) -> Assignment:
        evaluation, certificate = self._evaluation(request, place), self.certificate(place)
        opening = self._opening(place)
        if opening is None:
            return assignment.leave_unassigned(db, ctx, request, service_type, evaluation, certificate)
        who, start, end = opening
        candidate = evaluation.of(who)
        if candidate is None:
            return assignment.assign_locked(db, ctx, request)
        taken = assignment.book_or_offer(db, ctx, request, service_type, candidate, (start, end))
        if isinstance(taken, Refusal):
            return assignment.assign_locked(db, ctx, request)
        assigned = replace(taken, cost=fallback_cost(db, ctx, request, evaluation, candidate, start))
        record_decision(
            db,
            ctx,
            request,
            evaluation.candidates,
            assigned,
            candidate,
            start,
            evaluation,
            certificate,
        )
        return assigned

    def _opening(self, place: int) -> tuple[UUID, datetime, datetime] | None:
        """The consultant, start and end that the plan has for a request, or None."""
        pair, problem = self.solution.plan[place], self.snapshot.problem
        if pair == NOT_SERVED:
            return None
        opening = self.snapshot.batch.pair_openings[pair]
        who = problem.consultants[problem.consultant_places[opening]]
        return who, problem.starts[opening], problem.ends[opening]

    def _is_current(self, db: Session, ctx: Context, request: ConsultationRequest, place: int) -> bool:
        """Whether the request and its consultant are unchanged since the batch was read.

        A request that the plan does not serve must have been read completely as well.
        """
        if request.updated_at != self.snapshot.versions[place]:
            return False
        opening = self._opening(place)
        if opening is None:
            return self.snapshot.complete[place]
        consultant = db.get(Consultant, opening[0], populate_existing=True)
        if consultant is None:
            return False
        aliases = self.snapshot.score_inputs.aliases
        return current_ineligibility_reason(consultant, request, aliases, ctx.now) is None


def read_batch(
    db: Session, ctx: Context, limit: int = REQUESTS_MOST
) -> tuple[BatchSnapshot, tuple[UUID, ...]]:
    """Read all waiting requests as one batch; also returns the requests that are to be assigned alone."""
    ids = assignment.waiting_request_ids(db, ctx, limit)
    found = read(db, ctx, ids)
    together = {one.id for one in found.requests}
    return found, tuple(one for one in ids if one not in together)


def plan_batch(
    snapshot: BatchSnapshot, others: tuple[UUID, ...], time: timedelta, now: Callable[[], float]
) -> BatchPlan:
    """Solve a batch within `time`, as `now` counts seconds. Uses no database."""
    began = now()
    solution = matching.solve(snapshot.batch, time / timedelta(seconds=1), now)
    return BatchPlan(snapshot, solution, now() - began, others)


def store_plan(db: Session, ctx: Context, plan: BatchPlan) -> BatchPlan:
    """Store a batch with its certificate, unless it changes nothing; returns the plan with the batch's id."""
    store.mark_evaluated(db, plan.unchanged, ctx.now)
    if not plan.request_ids_to_apply:
        return plan
    solution, complete = plan.solution, plan.snapshot.complete
    batch_id = store.add_batch(
        db,
        planned_at=ctx.now,
        requests=len(plan.snapshot.requests),
        pairs=len(plan.snapshot.batch.pair_scores),
        served=solution.objective.served,
        score=solution.objective.score,
        served_bound=solution.bound.served,
        score_bound=solution.bound.score,
        method=solution.method,
        is_complete=all(complete[place] for place, pair in enumerate(solution.plan) if pair == NOT_SERVED),
        timed_out=solution.timed_out,
        seconds=round(plan.seconds, 3),
        left=plan.left,
    )
    return replace(plan, batch_id=batch_id)


def finish_plan(db: Session, ctx: Context, plan: BatchPlan) -> None:
    """Record that a plan was carried out, and for how many requests it came true."""
    if plan.batch_id is not None:
        store.finish_batch(db, plan.batch_id, plan.request_ids_to_apply, ctx.now)
