"""Declared hours beyond weekdays and dates, leaves, and how far windows were projected from them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.models.base import Base, CreatedAt, Key, LongText


class AvailabilityPlan(Base):
    """Recurring hours, rule sets, overrides and travel, as the contract `Hours` writes them.

    A plan is read and replaced as a whole; weekly hours and single dates are rows of `availability_rules`.
    """

    __tablename__ = "availability_plans"

    consultant_user_id: Mapped[UUID] = mapped_column(
        ForeignKey("consultant_profiles.consultant_user_id"), primary_key=True
    )
    plan: Mapped[dict[str, Any]]
    created_at: Mapped[CreatedAt]


class ConsultantLeave(Base):
    """A leave from one wall-clock time to another, in the zone that the consultant has on those days."""

    __tablename__ = "consultant_leaves"
    __table_args__ = (
        CheckConstraint("end_local > start_local", name="times"),
        Index(None, "consultant_user_id"),
        Index(None, "end_local"),
    )

    id: Mapped[Key]
    consultant_user_id: Mapped[UUID] = mapped_column(ForeignKey("consultant_profiles.consultant_user_id"))
    start_local: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=False))
    end_local: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=False))
    reason: Mapped[LongText]
    created_at: Mapped[CreatedAt]


class AvailabilityProjection(Base):
    """How far a consultant's windows are projected, and with which version of the time zones."""

    __tablename__ = "availability_projections"
    __table_args__ = (Index(None, "tzdata_version"),)

    consultant_user_id: Mapped[UUID] = mapped_column(
        ForeignKey("consultant_profiles.consultant_user_id"), primary_key=True
    )
    projected_until: Mapped[date]
    tzdata_version: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
