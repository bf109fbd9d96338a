"""Saying why: the stored decisions of a request, as they were made."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from sqlalchemy.orm import Session

from booking_tasks.assignment import store
from booking_tasks.assignment.rules import REASONS
from booking_tasks.context import Context
from booking_tasks.contracts import Considered, Decision, ExplainAssignment, ExplainOutcome
from booking_tasks.enums import RefusalCode
from booking_tasks.models import AssignmentDecision, ConsultationRequest


def explain(db: Session, ctx: Context, query: ExplainAssignment) -> ExplainOutcome:
    """Every decision about a request, the latest last."""
    request = db.get(ConsultationRequest, query.request_id)
    if request is None:
        return ExplainOutcome.refusal(RefusalCode.UNKNOWN_REQUEST, "request_id", "names no request")
    decisions = tuple(_decision(row) for row in store.decisions(db, request.id))
    return ExplainOutcome.model_validate(
        {"result": "done", "request_id": request.id, "status": request.status, "decisions": decisions}
    )


def _decision(row: AssignmentDecision) -> Decision:
    considered = (Considered.model_validate(_known(one)) for one in row.candidates)
    return Decision(
        decided_at=row.decided_at.astimezone(UTC),
        policy_version=row.policy_version,
        reason=row.reason,
        consultant_user_id=row.consultant_user_id,
        start=row.start_time.astimezone(UTC) if row.start_time else None,
        inputs=row.inputs,
        candidates=tuple(sorted(considered, key=_best_first)),
    )


def _known(stored: dict[str, Any]) -> dict[str, Any]:
    """What this release knows of a stored candidate: others may have written more."""
    return {name: value for name, value in stored.items() if name in Considered.model_fields}


def _best_first(one: Considered) -> tuple[bool, float, int, str]:
    came = REASONS.index(one.rejected) if one.rejected in REASONS else -1
    return one.rejected is not None, -(one.total or 0.0), -came, str(one.consultant_user_id)
