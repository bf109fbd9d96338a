"""Service types, consultants with their declared hours, and the copy of the directory."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.enums import WaitingList, WhenAllDeclined
from booking_tasks.models.base import Base, CreatedAt, Key, LongText, one_of


class ServiceType(Base):
    """A service type, with the policies that searching and booking share (minutes, days).

    The limits apply to each consultant and count only sessions of this type. NULL: no limit.
    `confirmation_minutes` is how long a consultant may take to confirm; NULL: the deployment's default.
    `waiting_list`: whether released time is offered to those who wait, or booked for them at once.
    `assignment_weights`: term -> weight, where this type differs from the deployment.
    """

    __tablename__ = "consultation_service_types"
    __table_args__ = (
        CheckConstraint("default_duration_minutes BETWEEN 1 AND 1440", name="default_duration_minutes"),
        CheckConstraint("slot_step_minutes BETWEEN 1 AND 1440", name="slot_step_minutes"),
        CheckConstraint(
            "buffer_before_minutes BETWEEN 0 AND 1440 AND buffer_after_minutes BETWEEN 0 AND 1440",
            name="buffers",
        ),
        CheckConstraint("minimum_notice_minutes BETWEEN 0 AND 525600", name="minimum_notice_minutes"),
        CheckConstraint("horizon_days BETWEEN 1 AND 730", name="horizon_days"),
        CheckConstraint(
            "max_sessions_per_day > 0 AND max_sessions_per_week > 0"
            " AND max_minutes_per_day > 0 AND max_minutes_per_week > 0",
            name="limits",
        ),
        CheckConstraint("confirmation_minutes BETWEEN 1 AND 525600", name="confirmation_minutes"),
        one_of("when_all_declined", WhenAllDeclined),
        one_of("waiting_list", WaitingList),
    )

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String, unique=True)
    description: Mapped[LongText | None]
    default_duration_minutes: Mapped[int]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    slot_step_minutes: Mapped[int] = mapped_column(server_default=text("30"))
    buffer_before_minutes: Mapped[int] = mapped_column(server_default=text("0"))
    buffer_after_minutes: Mapped[int] = mapped_column(server_default=text("0"))
    minimum_notice_minutes: Mapped[int] = mapped_column(server_default=text("0"))
    horizon_days: Mapped[int] = mapped_column(server_default=text("90"))
    requires_confirmation: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime | None]
    max_sessions_per_day: Mapped[int | None]
    max_sessions_per_week: Mapped[int | None]
    max_minutes_per_day: Mapped[int | None]
    max_minutes_per_week: Mapped[int | None]
    confirmation_minutes: Mapped[int | None]
    when_all_declined: Mapped[str] = mapped_column(String, server_default=text("'wait'"))
    waiting_list: Mapped[str] = mapped_column(String, server_default=text("'offer'"))
    assignment_weights: Mapped[dict[str, Any] | None]


class Consultant(Base):
    """A consultant's booking profile. `time_zone` is the zone their hours are written in.

    `holiday_region` (ISO 3166, like AT or DE-BY): where public holidays are days off.
    `service_type_ids`, `company_ids`: what they offer and for whom; NULL is all. `assignment_weight`: their
    share in proportion to the others' (1 is the usual one). `assignment_capacity`: the number of sessions and
    holds ahead from which assignment gives them no more. `priority_tier`: 1 comes first, 5 last.
    `unavailable_since`: since when they take no bookings.
    The limits count sessions of every type, in addition to the limits of the types. NULL: no limit.
    """

    __tablename__ = "consultant_profiles"
    __table_args__ = (
        CheckConstraint(
            "assignment_weight > 0 AND assignment_capacity > 0 AND priority_tier BETWEEN 1 AND 5",
            name="assignment",
        ),
        CheckConstraint(
            "max_sessions_per_day > 0 AND max_sessions_per_week > 0"
            " AND max_minutes_per_day > 0 AND max_minutes_per_week > 0",
            name="limits",
        ),
    )

    consultant_user_id: Mapped[UUID] = mapped_column(primary_key=True)
    bio: Mapped[LongText | None]
    specializations: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    is_available_for_booking: Mapped[bool] = mapped_column(server_default=text("true"))
    time_zone: Mapped[str] = mapped_column(server_default=text("'UTC'"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime | None]
    holiday_region: Mapped[str | None]
    service_type_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(PG_UUID(as_uuid=True)))
    company_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(PG_UUID(as_uuid=True)))
    languages: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    assignment_weight: Mapped[Decimal] = mapped_column(Numeric(8, 3), server_default=text("1"))
    assignment_capacity: Mapped[int | None]
    priority_tier: Mapped[int] = mapped_column(server_default=text("3"))
    unavailable_since: Mapped[datetime | None]
    max_sessions_per_day: Mapped[int | None]
    max_sessions_per_week: Mapped[int | None]
    max_minutes_per_day: Mapped[int | None]
    max_minutes_per_week: Mapped[int | None]


class SpecializationAlias(Base):
    """Another name of a specialization. Both are stored case-folded; no alias stands for an alias."""

    __tablename__ = "specialization_aliases"
    __table_args__ = (CheckConstraint("alias <> specialization", name="alias"),)

    alias: Mapped[str] = mapped_column(primary_key=True)
    specialization: Mapped[str]
    created_at: Mapped[CreatedAt]


class AvailabilityRule(Base):
    """Declared hours in the consultant's own zone, on one weekday or one date. Never a UTC time.

    An end at or before the start belongs to the next day. `AvailabilityPlan` has the other declarations.
    """

    __tablename__ = "availability_rules"
    __table_args__ = (
        CheckConstraint("num_nonnulls(weekday, local_date) = 1", name="weekday_or_date"),
        CheckConstraint("weekday BETWEEN 1 AND 7", name="weekday"),
        UniqueConstraint("consultant_user_id", "weekday", "start_local", name="uq_availability_rules_weekly"),
        UniqueConstraint(
            "consultant_user_id", "local_date", "start_local", name="uq_availability_rules_single"
        ),
    )

    id: Mapped[Key]
    consultant_user_id: Mapped[UUID] = mapped_column(ForeignKey("consultant_profiles.consultant_user_id"))
    weekday: Mapped[int | None]
    local_date: Mapped[date | None]
    start_local: Mapped[time]
    end_local: Mapped[time]
    created_at: Mapped[CreatedAt]


class ForgottenPerson(Base):
    """The id that took the place of a person who was forgotten; nothing leads back to the person."""

    __tablename__ = "forgotten_people"

    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    forgotten_at: Mapped[datetime]


class DirectoryUser(Base):
    """The last copy of a person from the identity service: how to reach and address them."""

    __tablename__ = "directory_users"
    __table_args__ = (Index("ix_directory_users_email", "email"),)

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    time_zone: Mapped[str] = mapped_column(server_default=text("'UTC'"))
    language: Mapped[str] = mapped_column(server_default=text("'en'"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime | None]
