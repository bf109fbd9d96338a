"""What is to become of a consultant's sessions while they are away: a plan, and its step for each session."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.enums import PlanState, StepAction, StepState
from booking_tasks.models.base import Base, CreatedAt, Key, LongText, one_of


class AbsencePlan(Base):
    """A consultant is away from one instant to another, or for good where there are none.

    A draft changes nothing. An applied plan has moved the time of its sessions, and can be undone until
    `announce_at`; then sessions, calendars and everybody hear of it. `wishes`: what the planner wanted to be
    otherwise, as the contract writes it.
    """

    __tablename__ = "absence_plans"
    __table_args__ = (
        one_of("state", PlanState),
        CheckConstraint("(starts_at IS NULL) = (ends_at IS NULL) AND ends_at > starts_at", name="times"),
        CheckConstraint("state NOT IN ('applied', 'announced') OR announce_at IS NOT NULL", name="announce"),
        Index(None, "consultant_user_id"),
        Index(None, "planned_at"),
    )

    id: Mapped[Key]
    consultant_user_id: Mapped[UUID] = mapped_column(ForeignKey("consultant_profiles.consultant_user_id"))
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    reason: Mapped[LongText]
    criteria: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    state: Mapped[str] = mapped_column(String, server_default=text("'draft'"))
    actor: Mapped[str]
    planned_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
    announce_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class AbsencePlanStep(Base):
    """What becomes of one session. At most one step of a session is under way, whatever the plan.

    `start_time` and `end_time`: when it will be. `booking_id`: the session's booked slot as the applied
    plan left it; another one there means that somebody acted on the session since. `before`: the slot it had,
    whole. `block_id` keeps the old time free of others, `hold_id` the proposed one.
    """

    __tablename__ = "absence_plan_steps"
    __table_args__ = (
        one_of("action", StepAction),
        one_of("state", StepState),
        CheckConstraint(
            "action = 'cancel' OR (consultant_user_id IS NOT NULL AND start_time IS NOT NULL"
            " AND end_time IS NOT NULL)",
            name="whereto",
        ),
        CheckConstraint("state NOT IN ('applied', 'offered') OR booking_id IS NOT NULL", name="applied"),
        UniqueConstraint("plan_id", "scheduled_session_id"),
        Index(
            "uq_absence_plan_steps_under_way",
            "scheduled_session_id",
            unique=True,
            postgresql_where=text("state IN ('applied', 'offered')"),
        ),
        Index(None, "scheduled_session_id"),
    )

    id: Mapped[Key]
    plan_id: Mapped[UUID] = mapped_column(ForeignKey("absence_plans.id", ondelete="CASCADE"))
    scheduled_session_id: Mapped[UUID] = mapped_column(ForeignKey("scheduled_sessions.id"))
    position: Mapped[int]
    session_revision: Mapped[int]
    action: Mapped[str] = mapped_column(String)
    reason: Mapped[str]
    consultant_user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("consultant_profiles.consultant_user_id")
    )
    start_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(String, server_default=text("'planned'"))
    booking_id: Mapped[UUID | None]
    block_id: Mapped[UUID | None]
    hold_id: Mapped[UUID | None]
    answer_by: Mapped[datetime | None]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[CreatedAt]
