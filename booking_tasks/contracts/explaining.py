"""Why a consultant was chosen, and why not the others: a question of the booking queue."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from booking_tasks.contracts.base import Contract, Instant, Outcome, Query, Queue
from booking_tasks.enums import RefusalCode, RequestStatus

ExplainCode = Literal[RefusalCode.UNKNOWN_REQUEST,]


class Considered(Contract):
    """One consultant as looked at: able, with terms (each between 0 and 1) and total, or why not."""

    consultant_user_id: UUID
    preferred: bool = False
    load: int = 0
    earliest_start: Instant | None = None
    rejected: str | None = None
    terms: dict[str, float] = Field(default_factory=dict)
    total: float | None = None


class Decision(Contract):
    """One look: under which policy, from which inputs, what came of it, and everyone looked at.

    `inputs` holds what was wanted, the weights, and what everyone of the pool had. The candidates come best
    first, then those who could not, by how far they came.
    """

    decided_at: Instant
    policy_version: str
    reason: str
    consultant_user_id: UUID | None = None
    start: Instant | None = None
    inputs: dict[str, Any] = Field(default_factory=dict)
    candidates: tuple[Considered, ...] = ()


class ExplainOutcome(Outcome[ExplainCode]):
    """How the request stands, and every decision about it, the latest last."""

    request_id: UUID | None = None
    status: RequestStatus | None = None
    decisions: tuple[Decision, ...] = ()


class ExplainAssignment(Query[ExplainOutcome]):
    """Ask why a request has the consultant that it has, or none. Code when refused: `unknown_request`.

    What the reasons and terms mean: docs/assignment.md.
    """

    task: ClassVar[str] = "explain_assignment"
    queue: ClassVar[Queue] = "booking"
    outcome: ClassVar[type[Outcome]] = ExplainOutcome

    request_id: UUID
