"""Assignment batches: one row for each, with the bounds of its plan."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Numeric, String, text
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.enums import BatchMethod
from booking_tasks.models.base import Base, Key, one_of


class AssignmentBatch(Base):
    """A batch as it was planned; `applied` counts the requests that the plan was applied to.

    `served` and `score` belong to the plan; no plan exceeds `served_bound` and `score_bound`.
    `is_complete`: every start that the requests could have was evaluated; otherwise the bounds hold for
    those that were. `left` has the requests that the plan does not serve, by reason. `finished_at` is NULL
    while the batch is under way, and stays NULL when its worker died.
    """

    __tablename__ = "assignment_batches"
    __table_args__ = (
        one_of("method", BatchMethod),
        CheckConstraint(
            "served <= served_bound AND served_bound <= requests AND applied <= requests", name="numbers"
        ),
        Index(None, "planned_at"),
    )

    id: Mapped[Key]
    planned_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    requests: Mapped[int]
    pairs: Mapped[int]
    served: Mapped[int]
    score: Mapped[int] = mapped_column(BigInteger)
    served_bound: Mapped[int]
    score_bound: Mapped[int] = mapped_column(BigInteger)
    method: Mapped[str] = mapped_column(String)
    is_complete: Mapped[bool]
    timed_out: Mapped[bool]
    seconds: Mapped[Decimal] = mapped_column(Numeric(10, 3))
    applied: Mapped[int] = mapped_column(server_default=text("0"))
    left: Mapped[dict[str, Any]]
