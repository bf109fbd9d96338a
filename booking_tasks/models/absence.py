"""Absence plans: what happens to the sessions of a consultant who is away, with one step for each session."""

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
    """The plan for one absence, from `starts_at` to `ends_at`, or for good where both are NULL.

    A draft changes nothing. An applied plan has moved the reservations of its sessions, and can be undone
    until `announce_at`; from then on sessions and calendars change, and everybody is notified. `criteria`:
    what the planner decided otherwise than proposed, as the contract writes it.
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
    """What a plan does with one session. At most one step of a session is under way, over all plans.

    `start_time` and `end_time` are the new times. `booking_id` is the booked slot as the applied plan left
    it; if the session has another one, somebody has changed it since. `before` is the whole slot that it
    had. `block_id` keeps the old time from being booked, `hold_id` keeps the proposed time.
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
