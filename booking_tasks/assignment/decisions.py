"""The outcome of an assignment, and the stored decision that explains it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import store
from booking_tasks.assignment.evaluation import Evaluation
from booking_tasks.assignment.rules import POLICY_VERSION, Candidate
from booking_tasks.context import Context
from booking_tasks.contracts import FallbackCost
from booking_tasks.kit.instants import Span, to_iso
from booking_tasks.models import ConsultationRequest
from booking_tasks.requests.rules import NewRequest


class AssignmentResult(StrEnum):
    """What became of a request that was to be assigned."""

    SCHEDULED = "scheduled"
    #: The start is held until the consultant confirms.
    CONFIRMATION_REQUESTED = "confirmation_requested"
    #: The start is held until the requester, who was told to wait, accepts.
    OFFERED = "offered"
    WAITING = "waiting"
    #: Every eligible consultant declined, and the service type rejects such a request.
    REJECTED = "rejected"
    #: The request does not wait any more, or has an offer.
    NOTHING = "nothing"


class DecisionReason(StrEnum):
    """Why a decision with a consultant was made; one without has the reason of the empty choice."""

    CHOSEN = "chosen"
    OFFERED = "offered"
    CHOSEN_BY_REQUESTER = "chosen_by_requester"


@dataclass(frozen=True)
class Assignment:
    """The outcome of an assignment. `cost`: what it costs that another than the preferred one was chosen."""

    result: AssignmentResult
    consultant_user_id: UUID | None = None
    reason: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    cost: FallbackCost | None = None

    @property
    def decision_reason(self) -> str:
        """The reason that is stored with the decision."""
        is_offer = self.result == AssignmentResult.OFFERED
        return self.reason or (DecisionReason.OFFERED if is_offer else DecisionReason.CHOSEN)


def fallback_cost(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    evaluation: Evaluation,
    chosen: Candidate,
    start: datetime,
) -> FallbackCost | None:
    """What it costs that another than the preferred consultant was chosen; None where it does not apply.

    The reason is why the preferred one was not chosen. `minutes_later` compares with their earliest start,
    and `score_difference` with their score at that start; both are None where they have no start.
    """
    who = request.preferred_consultant_user_id
    preferred = None if who in {None, chosen.consultant_user_id} else evaluation.of(who)
    if preferred is None:
        return None
    own = preferred.starts[0] if preferred.starts else _first_start(db, ctx, request, preferred)
    reason = preferred.rejected or "lower_total"
    if own is None:
        return FallbackCost(reason=reason)
    supposed = evaluation.with_start(preferred.consultant_user_id, own)
    totals = [
        one.total
        for one in map(supposed.of, (preferred.consultant_user_id, chosen.consultant_user_id))
        if one
    ]
    return FallbackCost(
        reason=reason,
        minutes_later=round((start - own[0]) / timedelta(minutes=1)),
        score_difference=round(totals[0] - totals[1], 6),
    )


def _first_start(
    db: Session, ctx: Context, request: ConsultationRequest, preferred: Candidate
) -> Span | None:
    """The first start of the preferred consultant at all, whether it lies in the preferred window or not."""
    who, until = preferred.consultant_user_id, ctx.now + ctx.policies.horizon
    free = store.first_free_starts(db, [who], request, ctx.now, until, ctx.now, 1, within_window=False)
    return next(iter(free.by_consultant.get(who, ())), None)


def record_decision(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    candidates: Iterable[Candidate],
    assignment: Assignment,
    chosen: Candidate | None = None,
    start: datetime | None = None,
    evaluation: Evaluation | None = None,
    batch: dict[str, Any] | None = None,
) -> None:
    """Insert a decision with its inputs: the candidates, the outcome and the reason.

    `batch` is the certificate of the plan that the decision was part of.
    """
    inputs = _inputs(ctx, request, evaluation, assignment.cost)
    if batch is not None:
        inputs["batch"] = batch
    row = _row(ctx, request, candidates, chosen, start, inputs)
    store.add_decision(db, **row | {"reason": assignment.decision_reason})


def choice_row(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    evaluation: Evaluation,
    chosen: Candidate,
    start: datetime,
) -> tuple[dict[str, Any], FallbackCost | None]:
    """The row of a choice, which is written together with the booking, and what the choice costs."""
    cost = fallback_cost(db, ctx, request, evaluation, chosen, start)
    inputs = _inputs(ctx, request, evaluation, cost)
    return _row(ctx, request, evaluation.candidates, chosen, start, inputs), cost


def requester_choice(
    ctx: Context, request: ConsultationRequest | NewRequest, start: datetime
) -> dict[str, Any]:
    """The row of a decision whose consultant and start the requester chose."""
    return {
        "consultation_request_id": request.id,
        "decided_at": ctx.now,
        "policy_version": POLICY_VERSION,
        "consultant_user_id": request.preferred_consultant_user_id,
        "start_time": start,
        "reason": DecisionReason.CHOSEN_BY_REQUESTER,
        "inputs": {"preferred_consultant_user_id": str(request.preferred_consultant_user_id)},
        "candidates": [],
    }


def record_requester_choice(db: Session, ctx: Context, request: ConsultationRequest, start: datetime) -> None:
    """Insert the decision of a requester where nothing is booked yet."""
    store.add_decision(db, **requester_choice(ctx, request, start))


def _row(
    ctx: Context,
    request: ConsultationRequest,
    candidates: Iterable[Candidate],
    chosen: Candidate | None,
    start: datetime | None,
    inputs: dict[str, Any],
) -> dict[str, Any]:
    return {
        "consultation_request_id": request.id,
        "decided_at": ctx.now,
        "policy_version": POLICY_VERSION,
        "consultant_user_id": chosen.consultant_user_id if chosen else None,
        "start_time": start,
        "reason": DecisionReason.CHOSEN,
        "inputs": inputs,
        "candidates": [one.as_stored() for one in candidates],
    }


def _inputs(
    ctx: Context, request: ConsultationRequest, evaluation: Evaluation | None, cost: FallbackCost | None
) -> dict[str, Any]:
    """What the choice was made of: the criteria of the requester, and everything that was computed."""
    inputs: dict[str, Any] = {
        "preferred_consultant_user_id": str(request.preferred_consultant_user_id or "") or None,
        "preferred_window": [_iso(request.preferred_start_time), _iso(request.preferred_end_time)],
        "preferred_fallback": [request.preferred_fallback, _iso(request.fallback_after)],
        "required_specializations": request.required_specializations,
        "languages": request.languages,
        "company_id": str(request.company_id or "") or None,
        "excluded": [str(one) for one in request.excluded_consultant_user_ids],
        "now": to_iso(ctx.now),
    }
    if evaluation is not None:
        circumstances = evaluation.circumstances
        inputs["weights"] = evaluation.weights.by_term()
        inputs["window"] = [_iso(circumstances.since), _iso(circumstances.until)]
        inputs["requester_zone"] = str(circumstances.requester_zone)
        inputs["balances"] = {
            str(who): [str(one.credits), str(one.weight), _iso(one.idle_since)]
            for who, one in evaluation.balances.items()
        }
    if cost is not None:
        inputs["fallback"] = cost.model_dump(mode="json")
    return inputs


def _iso(instant: datetime | None) -> str | None:
    return to_iso(instant) if instant else None
