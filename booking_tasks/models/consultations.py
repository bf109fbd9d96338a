"""Requests, scheduled sessions, the assignment decisions between them, and the allowed steps of both."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Numeric,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.enums import Attendance, Fallback, RequestStatus, SessionStatus
from booking_tasks.models.base import Base, CreatedAt, Key, LongText, one_of

_OPEN = "status IN ('pending', 'pending_assignment', 'pending_confirmation')"
_ENDED = "status IN ('cancelled', 'completed', 'rejected')"
_REQUEST_TEXTS = "(request_details IS NOT NULL OR status_reason IS NOT NULL)"
_SESSION_TEXTS = (
    "(outcome_notes IS NOT NULL OR status_reason IS NOT NULL OR meeting_platform_join_url IS NOT NULL)"
)


class ConsultationRequest(Base):
    """A request for a consultation, which is rejected at `deadline_at` when nothing was found for it.

    `languages`: one of them is enough. `preferred_fallback`: who else may serve it; with `wait`, from
    `fallback_after` on.
    """

    __tablename__ = "consultation_requests"
    __table_args__ = (
        one_of("status", RequestStatus),
        CheckConstraint(
            "preferred_end_time IS NULL OR preferred_start_time IS NULL"
            " OR preferred_end_time > preferred_start_time",
            name="preferred_window",
        ),
        one_of("preferred_fallback", Fallback),
        CheckConstraint(
            "(preferred_fallback = 'wait') = (fallback_after IS NOT NULL)", name="fallback_after"
        ),
        Index(
            "ix_consultation_requests_company",
            "company_id",
            "assigned_consultant_user_id",
            postgresql_where=text("company_id IS NOT NULL"),
        ),
        Index("ix_consultation_requests_open", "deadline_at", postgresql_where=text(_OPEN)),
        Index("ix_consultation_requests_ended", "requested_at", postgresql_where=text(_ENDED)),
        Index(
            "ix_consultation_requests_texts",
            "requested_at",
            postgresql_where=text(f"{_ENDED} AND {_REQUEST_TEXTS}"),
        ),
        Index("ix_consultation_requests_requester_user_id", "requester_user_id"),
        Index("ix_consultation_requests_replaces_request_id", "replaces_request_id"),
    )

    id: Mapped[Key]
    requester_user_id: Mapped[UUID]
    company_id: Mapped[UUID | None]
    consultation_service_type_id: Mapped[UUID] = mapped_column(ForeignKey("consultation_service_types.id"))
    preferred_consultant_user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("consultant_profiles.consultant_user_id")
    )
    preferred_start_time: Mapped[datetime | None]
    preferred_end_time: Mapped[datetime | None]
    required_specializations: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    excluded_consultant_user_ids: Mapped[list[UUID]] = mapped_column(
        ARRAY(PG_UUID(as_uuid=True)), server_default=text("'{}'")
    )
    request_details: Mapped[LongText | None]
    status: Mapped[str] = mapped_column(String, server_default=text("'pending'"))
    status_reason: Mapped[LongText | None]
    requested_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    assigned_consultant_user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("consultant_profiles.consultant_user_id")
    )
    # A session names its request and a request its session, so this reference is added by ALTER TABLE.
    scheduled_session_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("scheduled_sessions.id", use_alter=True), unique=True
    )
    replaces_request_id: Mapped[UUID | None] = mapped_column(ForeignKey("consultation_requests.id"))
    # The requester holds a start by this token until they confirm; nothing is assigned meanwhile.
    hold_token: Mapped[UUID | None]
    series_id: Mapped[UUID | None]
    # When the requester was put on the waiting list. From then on time is offered, not booked without asking.
    waiting_since: Mapped[datetime | None]
    # The pause after an offer that lapsed: no other offer is made before this instant.
    offer_cooldown_until: Mapped[datetime | None]
    languages: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    preferred_fallback: Mapped[str] = mapped_column(String, server_default=text("'anyone'"))
    fallback_after: Mapped[datetime | None]


class ScheduledSession(Base):
    """A scheduled session.

    `revision` grows with every change that people are notified of (SEQUENCE in their calendars); `revised_at`
    is the instant of that change (DTSTAMP). `substitute_user_id`: who has the session's time already, by an
    absence plan that is not announced yet. `live_id` is the id unless the session is cancelled, and
    `serving_user_id` is who has its time: with the times and the requester they refer to its booking.
    """

    __tablename__ = "scheduled_sessions"
    __table_args__ = (
        one_of("status", SessionStatus),
        one_of("requester_attendance", Attendance),
        one_of("consultant_attendance", Attendance),
        CheckConstraint("scheduled_end_time > scheduled_start_time", name="scheduled_times"),
        CheckConstraint("revision >= 0", name="revision"),
        CheckConstraint("billed_amount >= 0", name="billed_amount"),
        CheckConstraint(
            "(billed_currency IS NULL) = (billed_minor_units IS NULL) AND billed_minor_units >= 0",
            name="billed_currency",
        ),
        ForeignKeyConstraint(
            (
                "live_id",
                "scheduled_start_time",
                "scheduled_end_time",
                "serving_user_id",
                "requester_user_id",
            ),
            (
                "consultant_availability_slots.scheduled_session_id",
                "consultant_availability_slots.session_start_time",
                "consultant_availability_slots.session_end_time",
                "consultant_availability_slots.consultant_user_id",
                "consultant_availability_slots.requester_user_id",
            ),
            name="fk_scheduled_sessions_booking",
            deferrable=True,
            initially="DEFERRED",
            use_alter=True,
        ),
        Index(None, "consultant_user_id", "scheduled_start_time"),
        Index(None, "requester_user_id", "scheduled_start_time"),
        Index(None, "status"),
        Index(
            "ix_scheduled_sessions_to_start",
            "scheduled_start_time",
            postgresql_where=text("status = 'scheduled'"),
        ),
        Index(
            "ix_scheduled_sessions_to_judge",
            "scheduled_end_time",
            postgresql_where=text("status = 'in_progress'"),
        ),
        Index(
            "ix_scheduled_sessions_texts",
            "scheduled_end_time",
            postgresql_where=text(f"status NOT IN ('scheduled', 'in_progress') AND {_SESSION_TEXTS}"),
        ),
    )

    id: Mapped[Key]
    consultation_request_id: Mapped[UUID] = mapped_column(ForeignKey("consultation_requests.id"), unique=True)
    requester_user_id: Mapped[UUID]
    consultant_user_id: Mapped[UUID] = mapped_column(ForeignKey("consultant_profiles.consultant_user_id"))
    consultation_service_type_id: Mapped[UUID] = mapped_column(ForeignKey("consultation_service_types.id"))
    scheduled_start_time: Mapped[datetime]
    scheduled_end_time: Mapped[datetime]
    meeting_platform_session_id: Mapped[str | None] = mapped_column(String)
    meeting_platform_join_url: Mapped[LongText | None]
    status: Mapped[str] = mapped_column(String, server_default=text("'scheduled'"))
    status_reason: Mapped[LongText | None]
    outcome_notes: Mapped[LongText | None]
    billed_amount: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    revision: Mapped[int] = mapped_column(server_default=text("0"))
    revised_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    requester_attendance: Mapped[str | None]
    consultant_attendance: Mapped[str | None]
    judged_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime | None]
    substitute_user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("consultant_profiles.consultant_user_id")
    )
    live_id: Mapped[UUID | None] = mapped_column(
        Computed(
            "CASE WHEN status NOT IN ('cancelled_by_user', 'cancelled_by_consultant') THEN id END",
            persisted=True,
        ),
        unique=True,
    )
    serving_user_id: Mapped[UUID | None] = mapped_column(
        Computed("coalesce(substitute_user_id, consultant_user_id)", persisted=True)
    )
    billed_currency: Mapped[str | None]
    billed_minor_units: Mapped[int | None] = mapped_column(BigInteger)


class AssignmentDecision(Base):
    """One choice of a consultant: the inputs, everyone who was evaluated with the reason, and the result."""

    __tablename__ = "assignment_decisions"
    __table_args__ = (Index(None, "consultation_request_id", "decided_at"),)

    id: Mapped[Key]
    consultation_request_id: Mapped[UUID] = mapped_column(ForeignKey("consultation_requests.id"))
    decided_at: Mapped[datetime]
    policy_version: Mapped[str]
    consultant_user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("consultant_profiles.consultant_user_id")
    )
    start_time: Mapped[datetime | None]
    reason: Mapped[str]
    inputs: Mapped[dict[str, Any]]
    candidates: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)


class PastCount(Base):
    """The number of purged requests of one month, by service type and by how they and their sessions ended.

    `month` is the first day of the month (UTC) of the session's start, without a session of the request.
    `session_status` is empty where there was no session.
    """

    __tablename__ = "past_counts"

    month: Mapped[date] = mapped_column(primary_key=True)
    consultation_service_type_id: Mapped[UUID] = mapped_column(
        ForeignKey("consultation_service_types.id"), primary_key=True
    )
    request_status: Mapped[str] = mapped_column(String, primary_key=True)
    session_status: Mapped[str] = mapped_column(String, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)


class AllowedStep(Base):
    """A step that the status of a request or a session may take; an empty `before` is a new row.

    The rows are REQUEST_STEPS and SESSION_STEPS of `booking_tasks/states.py`, written by steps of the schema.
    """

    __tablename__ = "allowed_steps"

    aggregate: Mapped[str] = mapped_column(String, primary_key=True)
    before: Mapped[str] = mapped_column(String, primary_key=True)
    after: Mapped[str] = mapped_column(String, primary_key=True)
