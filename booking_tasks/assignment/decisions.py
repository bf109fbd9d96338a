"""Keeping why: each decision with its inputs, everyone's terms, and what a fallback costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import store
from booking_tasks.assignment.evaluation import Evaluation
from booking_tasks.assignment.rules import POLICY_VERSION, Candidate, Start
from booking_tasks.context import Context
from booking_tasks.kit.instants import to_iso
from booking_tasks.models import ConsultationRequest


@dataclass(frozen=True)
class Cost:
    """What it costs that another than the preferred consultant was chosen.

    `reason`: why the preferred one was not chosen. `minutes_later` than their own earliest start, negative
    is earlier; `score_difference`: how much higher they would have scored with it. None: they have no start.
    """

    reason: str
    minutes_later: int | None = None
    score_difference: float | None = None


@dataclass(frozen=True)
class Assigned:
    """What became of the look: `scheduled`, `asked` (a consultant must confirm), `offered` (to one who

    was told to wait), `waiting`, `rejected` (nobody is left to ask), or `nothing` to do (the request is no
    longer waiting, or has an offer). `cost`: what it costs that it is not the preferred one.
    """

    result: Literal["scheduled", "asked", "offered", "waiting", "rejected", "nothing"]
    consultant_user_id: UUID | None = None
    reason: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    cost: Cost | None = None

    @property
    def reason_stored(self) -> str:
        """What the decision says of it."""
        return self.reason or ("offered" if self.result == "offered" else "chosen")


def fallback_cost(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    look: Evaluation,
    chosen: Candidate,
    start: datetime,
) -> Cost | None:
    """The cost of choosing another than the preferred one, or None when it is them, or there is none."""
    preferred = look.of(request.preferred_consultant_user_id)
    if preferred is None or preferred.consultant_user_id == chosen.consultant_user_id:
        return None
    own = preferred.starts[0] if preferred.starts else _first_start(db, ctx, request, preferred)
    reason = preferred.rejected or "lower_total"
    if own is None:
        return Cost(reason)
    supposed = look.with_start(preferred.consultant_user_id, own)
    totals = [
        one.total
        for one in map(supposed.of, (preferred.consultant_user_id, chosen.consultant_user_id))
        if one
    ]
    return Cost(
        reason=reason,
        minutes_later=round((start - own[0]) / timedelta(minutes=1)),
        score_difference=round(totals[0] - totals[1], 6),
    )


def _first_start(
    db: Session, ctx: Context, request: ConsultationRequest, preferred: Candidate
) -> Start | None:
    """The first start that the preferred one has at all, wanted or not."""
    who, until = preferred.consultant_user_id, ctx.now + ctx.policies.horizon
    free = store.first_free_starts(
        db,
        [who],
        request,
        ctx.now,
        until,
        ctx.now,
        1,
        within_window=False,
    )
    return next(iter(free.by_consultant.get(who, ())), None)


def record_decision(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    candidates: Iterable[Candidate],
    became: Assigned,
    chosen: Candidate | None = None,
    start: datetime | None = None,
    seen: Evaluation | None = None,
    batch: dict[str, Any] | None = None,
) -> None:
    """Keep a decision with all that it was made of: who was looked at, what became of it, and why.

    `batch` is the certificate of the plan that it was part of.
    """
    inputs = _inputs(ctx, request, seen, became.cost)
    if batch is not None:
        inputs["batch"] = batch
    row = _row(ctx, request, candidates, chosen, start, inputs)
    store.add_decision(db, **row | {"reason": became.reason_stored})


def decision_of(
    ctx: Context,
    request: ConsultationRequest,
    seen: Evaluation,
    chosen: Candidate,
    start: datetime,
    cost: Cost | None,
) -> dict[str, Any]:
    """The row of a choice, to be written together with the booking."""
    return _row(ctx, request, seen.candidates, chosen, start, _inputs(ctx, request, seen, cost))


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
        "reason": "chosen",
        "inputs": inputs,
        "candidates": [one.as_stored() for one in candidates],
    }


def _inputs(
    ctx: Context, request: ConsultationRequest, seen: Evaluation | None, cost: Cost | None
) -> dict[str, Any]:
    """All that the choice was made of."""
    inputs = _wanted(request) | {"now": to_iso(ctx.now)}
    if seen is not None:
        inputs["weights"] = seen.weights.by_term()
        inputs["window"] = [_iso(seen.circumstances.since), _iso(seen.circumstances.until)]
        inputs["requester_zone"] = str(seen.circumstances.requester_zone)
        inputs["standings"] = {
            str(who): [str(one.credits), str(one.weight), _iso(one.idle_since)]
            for who, one in seen.balances.items()
        }
    if cost is not None:
        inputs["fallback"] = asdict(cost)
    return inputs


def _wanted(request: ConsultationRequest) -> dict[str, Any]:
    """What the requester asked for, as far as it decides."""
    return {
        "preferred_consultant_user_id": str(request.preferred_consultant_user_id or "") or None,
        "preferred_window": [_iso(request.preferred_start_time), _iso(request.preferred_end_time)],
        "preferred_fallback": [request.preferred_fallback, _iso(request.fallback_after)],
        "required_specializations": request.required_specializations,
        "languages": request.languages,
        "company_id": str(request.company_id or "") or None,
        "excluded": [str(one) for one in request.excluded_consultant_user_ids],
    }


def _iso(instant: datetime | None) -> str | None:
    return to_iso(instant) if instant else None
