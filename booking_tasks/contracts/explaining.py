"""Why a consultant was chosen and the others were not: a query of the booking queue."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from booking_tasks.contracts.base import Contract, Instant, Outcome, PublicQueue, Query
from booking_tasks.enums import RefusalCode, RequestStatus

ExplainCode = Literal[RefusalCode.UNKNOWN_REQUEST,]


class Considered(Contract):
    """One candidate: eligible with terms (each between 0 and 1) and total, or rejected with a reason."""

    consultant_user_id: UUID
    preferred: bool = False
    load: int = 0
    earliest_start: Instant | None = None
    rejected: str | None = None
    terms: dict[str, float] = Field(default_factory=dict)
    total: float | None = None


class Decision(Contract):
    """One decision: its policy, inputs and result, and all candidates.

    `inputs` has the criteria, the weights, and the values of everyone in the pool. The eligible candidates
    come first, the best one first, then the others by how far they came.
    """

    decided_at: Instant
    policy_version: str
    reason: str
    consultant_user_id: UUID | None = None
    start: Instant | None = None
    inputs: dict[str, Any] = Field(default_factory=dict)
    candidates: tuple[Considered, ...] = ()


class ExplainOutcome(Outcome[ExplainCode]):
    """The status of the request, and every decision about it, the latest last."""

    request_id: UUID | None = None
    status: RequestStatus | None = None
    decisions: tuple[Decision, ...] = ()


class ExplainAssignment(Query[ExplainOutcome]):
    """Explain why a request has its consultant, or none. Code when refused: `unknown_request`.

    docs/assignment.md explains the reasons and terms.
    """

    task: ClassVar[str] = "explain_assignment"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = ExplainOutcome

    request_id: UUID
