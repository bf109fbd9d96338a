"""The fairness ledger: what each consultant got of each kind of consultation, entry by entry.

A pool is one kind of consultation. Entries are appended without any lock; whoever counts locks the
pool first, and adds up what was appended since (`enter_pool`).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.enums import CREDIT_KINDS
from booking_tasks.models.base import Base, CreatedAt, Key, LongText, one_of
from booking_tasks.models.free_time import run

CREDIT = Numeric(14, 6)


class AssignmentCredit(Base):
    """One entry. `reverses` names the assignment that a reversal takes back: each at most once.

    `cause_id` is the leave or the session that an entry without a request of its own stands for.
    """

    __tablename__ = "assignment_credits"
    __table_args__ = (
        one_of("kind", CREDIT_KINDS),
        CheckConstraint(
            "(kind = 'reversal') = (reverses IS NOT NULL)"
            " AND (kind <> 'assignment' OR consultation_request_id IS NOT NULL)",
            name="shape",
        ),
        UniqueConstraint("reverses"),
        UniqueConstraint(
            "kind",
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
    kind: Mapped[str] = mapped_column(String)
    amount: Mapped[Decimal] = mapped_column(CREDIT)
    credited_at: Mapped[datetime]
    consultation_request_id: Mapped[UUID | None] = mapped_column(ForeignKey("consultation_requests.id"))
    reverses: Mapped[UUID | None] = mapped_column(ForeignKey("assignment_credits.id"))
    cause_id: Mapped[UUID | None]
    reason: Mapped[LongText | None]
    is_counted: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]


class AssignmentBalance(Base):
    """The sum of a consultant's counted entries in one pool; changed under the pool's lock alone."""

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


# Volatile, so that what stands after the lock sees all that was committed before the lock was granted.
ENTER_POOL = """
CREATE FUNCTION enter_pool(p_pool uuid, p_now timestamptz)
RETURNS TABLE (consultant_user_id uuid, credits numeric, assigned_at timestamptz)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('assignment pool:' || p_pool, 0));
    WITH fresh AS (
        UPDATE assignment_credits e
           SET is_counted = true
         WHERE e.consultation_service_type_id = p_pool AND NOT e.is_counted
        RETURNING e.consultant_user_id, e.kind, e.amount, e.credited_at
    )
    INSERT INTO assignment_balances AS b (
        consultation_service_type_id, consultant_user_id, credits, assigned_at
    )
    SELECT p_pool, f.consultant_user_id, sum(f.amount),
           max(f.credited_at) FILTER (WHERE f.kind = 'assignment')
      FROM fresh f
     GROUP BY f.consultant_user_id
    ON CONFLICT (consultation_service_type_id, consultant_user_id) DO UPDATE
        SET credits = b.credits + excluded.credits,
            assigned_at = greatest(b.assigned_at, excluded.assigned_at);
    -- Who is new starts where the others stand on average, in proportion to their weights.
    WITH members AS (
        SELECT c.consultant_user_id, c.assignment_weight, b.credits
          FROM consultant_profiles c
          LEFT JOIN assignment_balances b
            ON b.consultation_service_type_id = p_pool AND b.consultant_user_id = c.consultant_user_id
         WHERE c.is_available_for_booking
           AND (c.service_type_ids IS NULL OR p_pool = ANY (c.service_type_ids))
    ), newcomers AS (
        SELECT m.consultant_user_id,
               round(m.assignment_weight * coalesce(
                   (SELECT sum(o.credits) / sum(o.assignment_weight)
                      FROM members o WHERE o.credits IS NOT NULL), 0
               ), 6) AS amount
          FROM members m
         WHERE m.credits IS NULL
    ), written AS (
        INSERT INTO assignment_credits (
            consultation_service_type_id, consultant_user_id, kind, amount, credited_at, is_counted
        )
        SELECT p_pool, n.consultant_user_id, 'newcomer', n.amount, p_now, true
          FROM newcomers n WHERE n.amount <> 0
    )
    INSERT INTO assignment_balances (consultation_service_type_id, consultant_user_id, credits)
    SELECT p_pool, n.consultant_user_id, n.amount FROM newcomers n;
    RETURN QUERY
        SELECT b.consultant_user_id, b.credits, b.assigned_at
          FROM assignment_balances b
         WHERE b.consultation_service_type_id = p_pool;
END
$$
"""

run("after_create", ENTER_POOL)
run("before_drop", "DROP FUNCTION IF EXISTS enter_pool")
