"""Policies of one consultant that differ from those of a service type."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.models.base import Base, CreatedAt


class ConsultantPolicy(Base):
    """The policies of one consultant for one service type. NULL: the policy of the service type applies."""

    __tablename__ = "consultant_policies"
    __table_args__ = (
        CheckConstraint(
            "duration_minutes BETWEEN 1 AND 1440 AND slot_step_minutes BETWEEN 1 AND 1440", name="lengths"
        ),
        CheckConstraint(
            "buffer_before_minutes BETWEEN 0 AND 1440 AND buffer_after_minutes BETWEEN 0 AND 1440",
            name="buffers",
        ),
        CheckConstraint(
            "minimum_notice_minutes BETWEEN 0 AND 525600 AND horizon_days BETWEEN 1 AND 730", name="ahead"
        ),
        CheckConstraint(
            "max_sessions_per_day > 0 AND max_sessions_per_week > 0"
            " AND max_minutes_per_day > 0 AND max_minutes_per_week > 0",
            name="limits",
        ),
        Index(None, "consultation_service_type_id"),
    )

    consultant_user_id: Mapped[UUID] = mapped_column(
        ForeignKey("consultant_profiles.consultant_user_id"), primary_key=True
    )
    consultation_service_type_id: Mapped[UUID] = mapped_column(
        ForeignKey("consultation_service_types.id"), primary_key=True
    )
    duration_minutes: Mapped[int | None]
    slot_step_minutes: Mapped[int | None]
    buffer_before_minutes: Mapped[int | None]
    buffer_after_minutes: Mapped[int | None]
    minimum_notice_minutes: Mapped[int | None]
    horizon_days: Mapped[int | None]
    requires_confirmation: Mapped[bool | None]
    max_sessions_per_day: Mapped[int | None]
    max_sessions_per_week: Mapped[int | None]
    max_minutes_per_day: Mapped[int | None]
    max_minutes_per_week: Mapped[int | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime | None]
