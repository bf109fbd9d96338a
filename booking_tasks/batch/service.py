"""Together: what waits is matched as one batch and then taken request by request.

Reading and solving hold no lock, so a plan may be overtaken. Each request is taken under the guards of
a single one, and one whose part of the plan was lost is looked at anew, by itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import evaluation as looking
from booking_tasks.assignment import service
from booking_tasks.assignment.decisions import Assigned, fallback_cost, record_decision
from booking_tasks.assignment.rules import Candidate, Start, unassigned_reason
from booking_tasks.availability import store as ledger
from booking_tasks.availability.service import NotTaken
from booking_tasks.batch import matching
from booking_tasks.batch import store as batch_store
from booking_tasks.batch.plan import NOT_SERVED, Answer
from booking_tasks.batch.reading import BatchProblem, read
from booking_tasks.context import Context
from booking_tasks.models import Consultant, ConsultationRequest
from booking_tasks.offers.rules import NOT_TAKEN
from booking_tasks.requests import service as requests
from booking_tasks.requests.store import locked_request

#: Requests of one batch; those that were looked at longest ago first.
REQUESTS_MOST = 5_000


@dataclass(frozen=True)
class Planned:
    """A batch with its plan. `seconds`: what solving took. `others`: requests that are looked at alone.

    `batch_id` once it is kept.
    """

    look: BatchProblem
    answer: Answer
    seconds: float
    others: tuple[UUID, ...] = ()
    batch_id: UUID | None = None

    @property
    def to_do(self) -> list[UUID]:
        """The requests that something is to be done for, those that waited longest first."""
        return [*(self.look.requests[place].id for place in self._changing), *self.others]

    @property
    def unchanged(self) -> list[UUID]:
        """The requests that wait on, for the reason they have."""
        changing = set(self._changing)
        return [one.id for place, one in enumerate(self.look.requests) if place not in changing]

    @property
    def left(self) -> dict[str, list[str]]:
        """The requests that the plan does not serve: nobody has a start for them, or others got it."""
        found: dict[str, list[str]] = {}
        for place, request in enumerate(self.look.requests):
            if self.answer.plan[place] == NOT_SERVED:
                why = "outmatched" if self._pairs(place) else "no_start"
                found.setdefault(why, []).append(str(request.id))
        return found

    @cached_property
    def _changing(self) -> list[int]:
        return [place for place in range(len(self.look.requests)) if self._changes(place)]

    @cached_property
    def _places(self) -> dict[UUID, int]:
        return {one.id: place for place, one in enumerate(self.look.requests)}

    def _changes(self, place: int) -> bool:
        request = self.look.requests[place]
        return (
            self.answer.plan[place] != NOT_SERVED
            or not self.look.complete[place]
            or request.status != "pending_assignment"
            or request.status_reason not in self._reasons(place)
        )

    def _reasons(self, place: int) -> set[str]:
        """What its reason may be where nothing changed: with and without somebody who declined."""
        candidates = self.candidates(place)
        reasons = {unassigned_reason(candidates), unassigned_reason(candidates, self.look.ground.consultants)}
        return reasons | NOT_TAKEN if "no_free_time" in reasons else reasons

    def candidates(self, place: int) -> list[Candidate]:
        """Everyone as the plan saw them for one request: their first start, or why they have none."""
        look, request, first = self.look, self.look.requests[place], self._first(place)
        asking = look.asking[request.consultation_service_type_id]
        return [
            Candidate(
                consultant_user_id=who,
                preferred=who == request.preferred_consultant_user_id,
                load=look.loads.get(who, 0),
                starts=(first[number],) if number in first else (),
                rejected=look.reasons[place][who] or self._without(place, number, first),
                must_confirm=who in asking,
                capacity=look.scene.profiles[who].capacity,
            )
            for number, who in enumerate(look.ground.consultants)
        ]

    def _first(self, place: int) -> dict[int, Start]:
        """The start that the plan has for the consultant it chose; the first one of everybody else."""
        look, chosen = self.look, self.answer.plan[place]
        pairs = [*reversed(self._pairs(place)), *([chosen] if chosen != NOT_SERVED else [])]
        openings = [look.batch.pair_openings[pair] for pair in pairs]
        return {look.ground.whose[one]: (look.ground.starts[one], look.ground.ends[one]) for one in openings}

    def _without(self, place: int, number: int, first: dict[int, Start]) -> str | None:
        """Why a consultant who could does not: none of their starts is left once the others have theirs."""
        if number in first and self.answer.plan[place] != NOT_SERVED:
            return None
        return "requester_busy" if number in self.look.busy[place] else "no_free_time"

    def _pairs(self, place: int) -> range:
        requests = self.look.batch.pair_requests
        return range(bisect_left(requests, place), bisect_left(requests, place + 1))

    def certificate(self, place: int) -> dict[str, Any]:
        """How good the plan is that this decision is part of. Scores in millionths of the highest one."""
        pair, answer = self.answer.plan[place], self.answer
        return {
            "id": str(self.batch_id) if self.batch_id else None,
            "requests": len(self.look.requests),
            "served": answer.objective.served,
            "served_bound": answer.bound.served,
            "score": answer.objective.score,
            "score_bound": answer.bound.score,
            "method": answer.method,
            "pair_score": None if pair == NOT_SERVED else self.look.batch.pair_scores[pair],
            "complete": self.look.complete[place],
        }

    def _as_single_look(self, request: ConsultationRequest, place: int) -> looking.Evaluation:
        """What a look for this request alone would have kept, with the plan's starts."""
        look, claim = self.look, self.look.claims[place]
        scene = look.scene
        seen = looking.Evaluation(
            candidates=(),
            profiles=dict(scene.profiles),
            balances=dict(scene.standings[claim.service_type_id]),
            circumstances=scene.about(looking.criteria_of(request), claim.low, claim.latest),
            weights=scene.weights[claim.service_type_id],
        )
        return replace(seen, candidates=seen.scored(self.candidates(place)))

    def apply(self, db: Session, ctx: Context, request_id: UUID) -> Assigned:
        """Give one request what the plan has for it, or say why it waits; by itself if that is overtaken."""
        request, place = locked_request(db, request_id), self._places.get(request_id)
        if request is not None:
            requests.ensure_deadline(ctx, request)
        if request is None or not service.is_assignable(db, ctx, request):
            return Assigned("nothing")
        kind = ledger.service_type(db, request.consultation_service_type_id)
        if kind is None or not kind.is_active or place is None or not self._stands(db, ctx, request, place):
            return service.assign_locked(db, ctx, request)
        seen, pair = self._as_single_look(request, place), self.answer.plan[place]
        if pair == NOT_SERVED:
            return service.leave_unassigned(db, ctx, request, kind, seen, self.certificate(place))
        opening = self.look.batch.pair_openings[pair]
        candidate = seen.of(self.look.ground.consultants[self.look.ground.whose[opening]])
        start, end = self.look.ground.starts[opening], self.look.ground.ends[opening]
        if candidate is None:
            return service.assign_locked(db, ctx, request)
        taken = service.book_or_offer(db, ctx, request, kind, candidate, start, end)
        if isinstance(taken, NotTaken):
            return service.assign_locked(db, ctx, request)
        became = replace(taken, cost=fallback_cost(db, ctx, request, seen, candidate, start))
        record_decision(
            db, ctx, request, seen.candidates, became, candidate, start, seen, self.certificate(place)
        )
        return became

    def _stands(self, db: Session, ctx: Context, request: ConsultationRequest, place: int) -> bool:
        """Whether request and consultant are still what the plan was made for, and it can be relied on."""
        if request.updated_at != self.look.seen[place]:
            return False
        pair = self.answer.plan[place]
        if pair == NOT_SERVED:
            return self.look.complete[place]
        who = self.look.ground.consultants[self.look.ground.whose[self.look.batch.pair_openings[pair]]]
        consultant = db.get(Consultant, who, populate_existing=True)
        if consultant is None:
            return False
        return (
            looking.current_ineligibility_reason(consultant, request, self.look.scene.aliases, ctx.now)
            is None
        )


def look(db: Session, ctx: Context, limit: int = REQUESTS_MOST) -> tuple[BatchProblem, tuple[UUID, ...]]:
    """Read everything that waits as one batch; beside it, the requests that are looked at by themselves."""
    ids = service.waiting_request_ids(db, ctx, limit)
    found = read(db, ctx, ids)
    together = {one.id for one in found.requests}
    return found, tuple(one for one in ids if one not in together)


def planned(
    look: BatchProblem, others: tuple[UUID, ...], time: timedelta, now: Callable[[], float]
) -> Planned:
    """Solve a batch in a time that `now` counts in seconds. No database."""
    began = now()
    answer = matching.solved(look.batch, time / timedelta(seconds=1), now)
    return Planned(look, answer, now() - began, others)


def keep(db: Session, ctx: Context, plan: Planned) -> Planned:
    """Store a batch with its certificate, unless it changes nothing; the plan with the batch's id."""
    batch_store.touch(db, plan.unchanged, ctx.now)
    if not plan.to_do:
        return plan
    answer, complete = plan.answer, plan.look.complete
    batch_id = batch_store.add_batch(
        db,
        planned_at=ctx.now,
        requests=len(plan.look.requests),
        pairs=len(plan.look.batch.pair_scores),
        served=answer.objective.served,
        score=answer.objective.score,
        served_bound=answer.bound.served,
        score_bound=answer.bound.score,
        method=answer.method,
        is_complete=all(complete[place] for place, pair in enumerate(answer.plan) if pair == NOT_SERVED),
        timed_out=answer.timed_out,
        seconds=round(plan.seconds, 3),
        left=plan.left,
    )
    return replace(plan, batch_id=batch_id)


def finish(db: Session, ctx: Context, plan: Planned) -> None:
    """Note that a batch was gone through, and what came of it."""
    if plan.batch_id is not None:
        batch_store.finish_batch(db, plan.batch_id, plan.to_do, ctx.now)
