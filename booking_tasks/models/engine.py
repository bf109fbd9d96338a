"""Jobs, events, inbox, dead letters, parked messages, evidence, runs of sweeps and the stepped clock."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.enums import EvidenceType, InboxState, JobState, Party
from booking_tasks.models.base import Base, CreatedAt, Key, LongText, one_of


class Job(Base):
    """One piece of follow-up work: outbox and agenda in one. `key` makes it exist once.

    `due_at` is in the business clock; `retry_at` and `lease_until` are in the database's real time.
    `payload` is exactly what is being sent, kept from the first try until the outcome is known.
    `put_off_reason` is the code of why it waits until `retry_at` (`PutOffReason`). `recoveries` counts how
    often the recovery of its target made it due, less the tries that it made by itself since.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        one_of("state", JobState),
        CheckConstraint(
            "(state IN ('leased', 'sending')) = (lease_token IS NOT NULL)"
            " AND (state IN ('leased', 'sending')) = (lease_until IS NOT NULL)",
            name="lease",
        ),
        CheckConstraint(
            "(state IN ('done', 'skipped', 'uncertain', 'dead')) = (finished_at IS NOT NULL)", name="finished"
        ),
        Index("ix_jobs_due", "job_type", "due_at", postgresql_where=text("state = 'waiting'")),
        Index(
            "ix_jobs_put_off",
            "job_type",
            "retry_at",
            postgresql_where=text("state = 'waiting' AND retry_at IS NOT NULL"),
        ),
        Index(
            "ix_jobs_undecided",
            "state",
            "job_type",
            postgresql_where=text("state IN ('uncertain', 'dead')"),
        ),
        Index("ix_jobs_leases", "lease_until", postgresql_where=text("state IN ('leased', 'sending')")),
        Index("ix_jobs_subject", "subject_id", "job_type"),
        Index(
            "ix_jobs_finished_at",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
    )

    id: Mapped[Key]
    key: Mapped[str] = mapped_column(unique=True)
    job_type: Mapped[str]
    subject_id: Mapped[UUID]
    args: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    due_at: Mapped[datetime]
    retry_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    send_attempts: Mapped[int] = mapped_column(server_default=text("0"))
    lease_token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    payload: Mapped[bytes | None] = mapped_column(LargeBinary)
    last_error: Mapped[LongText | None]
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]
    put_off_reason: Mapped[str | None]
    recoveries: Mapped[int] = mapped_column(server_default=text("0"))


class Event(Base):
    """One change: who, when, why, before and after. Inserted in the transaction of the change."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_request", "consultation_request_id", "position"),
        Index("ix_events_session", "scheduled_session_id", "position"),
        Index(None, "occurred_at"),
    )

    id: Mapped[Key]
    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    type: Mapped[str]
    occurred_at: Mapped[datetime]
    consultation_request_id: Mapped[UUID | None]
    scheduled_session_id: Mapped[UUID | None]
    consultant_user_id: Mapped[UUID | None]
    actor: Mapped[str]
    entry_point: Mapped[str]
    message_id: Mapped[UUID | None]
    reason: Mapped[LongText | None]
    before: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    after: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class InboxMessage(Base):
    """One inbound message: counted before it is run, answered once.

    `body` is kept until the answer is stored, so that a message whose worker died is run again from here even
    when the broker lost it. Of a message that changed nothing, the ids that it was about are kept.
    """

    __tablename__ = "inbox"
    __table_args__ = (
        one_of("state", InboxState),
        CheckConstraint("(state = 'received') = (outcome IS NULL)", name="outcome"),
        Index("ix_inbox_received", "attempted_at", postgresql_where=text("state = 'received'")),
        Index("ix_inbox_finished_at", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    task: Mapped[str]
    body_hash: Mapped[str]
    entry_point: Mapped[str]
    body: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    state: Mapped[str] = mapped_column(server_default=text("'received'"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    outcome: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    received_at: Mapped[CreatedAt]
    attempted_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]


class DeadLetter(Base):
    """A message that could not be used: the reason, and its shape without personal data."""

    __tablename__ = "dead_letters"
    __table_args__ = (Index(None, "received_at"),)

    id: Mapped[Key]
    task: Mapped[str]
    entry_point: Mapped[str]
    message_id: Mapped[UUID | None]
    reason: Mapped[LongText]
    payload: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    received_at: Mapped[CreatedAt]


class ParkedMessage(Base):
    """A valid message for a task that the release which received it does not know; a later release runs it.

    The arguments are kept whole, so they may contain personal data. The same message is kept once.
    """

    __tablename__ = "parked_messages"
    __table_args__ = (
        Index("uq_parked_messages_content", "task", "queue", "body_hash", unique=True),
        Index(None, "received_at"),
    )

    id: Mapped[Key]
    task: Mapped[str]
    queue: Mapped[str]
    body_hash: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    received_at: Mapped[CreatedAt]


class AttendanceEvidence(Base):
    """One observation of a room, from any source. The same observation twice is one row."""

    __tablename__ = "attendance_evidence"
    __table_args__ = (
        one_of("evidence_type", EvidenceType),
        one_of("party", Party),
        CheckConstraint(
            "(evidence_type IN ('joined', 'left')) = (party IS NOT NULL)", name="party_of_presence"
        ),
        Index(
            "uq_attendance_evidence_observation",
            "scheduled_session_id",
            "source",
            "external_id",
            unique=True,
        ),
        Index(None, "recorded_at"),
    )

    id: Mapped[Key]
    scheduled_session_id: Mapped[UUID] = mapped_column(ForeignKey("scheduled_sessions.id"))
    evidence_type: Mapped[str]
    party: Mapped[str | None]
    observed_at: Mapped[datetime]
    source: Mapped[str]
    external_id: Mapped[str]
    recorded_at: Mapped[CreatedAt]


class ScheduleRun(Base):
    """One run of daily work: the worker that inserts the row does the run of that day."""

    __tablename__ = "schedule_runs"

    schedule: Mapped[str] = mapped_column(primary_key=True)
    due_day: Mapped[date] = mapped_column(primary_key=True)
    started_at: Mapped[CreatedAt]


class SweepRun(Base):
    """The last run of a sweep: when a beat published its message, and when it succeeded.

    The beat records what it published, without waiting for it. Every run records it too, by the beat's clock.
    """

    __tablename__ = "sweep_runs"

    sweep: Mapped[str] = mapped_column(primary_key=True)
    published_at: Mapped[datetime | None]
    succeeded_at: Mapped[datetime]


class SteppedClock(Base):
    """The clock of the demo and the tests: at most one row, used only with BOOKING_CLOCK=stepped."""

    __tablename__ = "stepped_clock"
    __table_args__ = (CheckConstraint("only_row", name="only_row"),)

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    instant: Mapped[datetime]
