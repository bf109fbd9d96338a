"""The fairness ledger: the credits of each consultant in each pool, one row for each entry.

A pool is one service type. Entries are appended without a lock. Whoever needs the balances locks the pool
first and adds up what was appended since (`lock_pool`).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.enums import CreditType
from booking_tasks.models.base import Base, CreatedAt, Key, LongText, one_of

CREDIT = Numeric(14, 6)


class AssignmentCredit(Base):
    """One entry. `reverses` is the assignment that a reversal cancels; each is reversed at most once.

    `cause_id` is the leave or the session behind an entry that has no request of its own.
    """

    __tablename__ = "assignment_credits"
    __table_args__ = (
        one_of("credit_type", CreditType),
        CheckConstraint(
            "(credit_type = 'reversal') = (reverses IS NOT NULL)"
            " AND (credit_type <> 'assignment' OR consultation_request_id IS NOT NULL)",
            name="shape",
        ),
        UniqueConstraint("reverses"),
        UniqueConstraint(
            "credit_type",
            "cause_id",
            "consultation_service_type_id",
            "consultant_user_id",
            name="uq_assignment_credits_cause",
        ),
        Index(None, "consultation_request_id"),
        Index(None, "consultation_service_type_id", "credited_at"),
        Index(
            "ix_assignment_credits_uncounted",
            "consultation_service_type_id",
            postgresql_where=text("NOT is_counted"),
        ),
    )

    id: Mapped[Key]
    consultation_service_type_id: Mapped[UUID] = mapped_column(ForeignKey("consultation_service_types.id"))
    consultant_user_id: Mapped[UUID] = mapped_column(ForeignKey("consultant_profiles.consultant_user_id"))
    credit_type: Mapped[str] = mapped_column(String)
    amount: Mapped[Decimal] = mapped_column(CREDIT)
    credited_at: Mapped[datetime]
    consultation_request_id: Mapped[UUID | None] = mapped_column(ForeignKey("consultation_requests.id"))
    reverses: Mapped[UUID | None] = mapped_column(ForeignKey("assignment_credits.id"))
    cause_id: Mapped[UUID | None]
    reason: Mapped[LongText | None]
    is_counted: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]


class AssignmentBalance(Base):
    """The sum of a consultant's counted entries in one pool. It changes only under the lock of the pool."""

    __tablename__ = "assignment_balances"

    consultation_service_type_id: Mapped[UUID] = mapped_column(
        ForeignKey("consultation_service_types.id"), primary_key=True
    )
    consultant_user_id: Mapped[UUID] = mapped_column(
        ForeignKey("consultant_profiles.consultant_user_id"), primary_key=True
    )
    credits: Mapped[Decimal] = mapped_column(CREDIT, server_default=text("0"))
    assigned_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
