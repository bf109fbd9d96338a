"""The slot ledger (windows, blocks and reservations of each consultant), and who is where because of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    column,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.enums import OccupiedRole, SlotStatus
from booking_tasks.models.base import Base, CreatedAt, Key, one_of

WINDOWS_CONSTRAINT = "ex_consultant_availability_slots_windows"
PERSON_CONSTRAINT = "ex_occupied_times_person"

_SPAN = "tstzrange(start_time, end_time)"


class AvailabilitySlot(Base):
    """A span of one consultant's time.

    `available`: a declared window; starts are counted from `counted_from`, or from its start where that is
    NULL. `unavailable`: a block, with its source. `held` and `booked`: reservations; their `start_time` and
    `end_time` include the buffers, `session_start_time` and `session_end_time` are the session itself. A
    booking and its session name each other, with the same persons and times; the database refuses a commit
    that leaves one without the other.
    """

    __tablename__ = "consultant_availability_slots"
    __table_args__ = (
        one_of("status", SlotStatus),
        CheckConstraint("end_time > start_time", name="times"),
        CheckConstraint(
            "(status = 'held') = (held_until IS NOT NULL) AND (status = 'held') = (hold_token IS NOT NULL)",
            name="held",
        ),
        CheckConstraint(
            "(status IN ('held', 'booked')) = (consultation_request_id IS NOT NULL)"
            " AND (status IN ('held', 'booked')) = (requester_user_id IS NOT NULL)"
            " AND (status IN ('held', 'booked')) = (session_start_time IS NOT NULL)"
            " AND (status IN ('held', 'booked')) = (session_end_time IS NOT NULL)",
            name="reservations",
        ),
        CheckConstraint("(status = 'booked') = (scheduled_session_id IS NOT NULL)", name="booked"),
        CheckConstraint(
            "session_start_time >= start_time AND session_end_time <= end_time"
            " AND session_end_time > session_start_time",
            name="session_inside",
        ),
        CheckConstraint("recurrence_rule IS NULL OR is_recurring", name="recurrence"),
        CheckConstraint(
            "counted_from IS NULL OR (status = 'available' AND counted_from < start_time)",
            name="counted_from",
        ),
        ExcludeConstraint(
            (column("consultant_user_id"), "="),
            (literal_column(_SPAN), "&&"),
            name=WINDOWS_CONSTRAINT,
            using="gist",
            where=text("status = 'available'"),
        ),
        # What the foreign key of a session refers to.
        UniqueConstraint(
            "scheduled_session_id",
            "session_start_time",
            "session_end_time",
            "consultant_user_id",
            "requester_user_id",
            name="uq_consultant_availability_slots_booking",
        ),
        Index("ix_consultant_availability_slots_times", "consultant_user_id", "start_time", "end_time"),
        Index(None, "status"),
        Index(
            "ix_consultant_availability_slots_blocks",
            "consultant_user_id",
            func.tstzrange(column("start_time"), column("end_time")),
            postgresql_using="gist",
            postgresql_where=text("status = 'unavailable'"),
        ),
        Index(
            "ix_consultant_availability_slots_windows_by_time",
            func.tstzrange(column("start_time"), column("end_time")),
            postgresql_using="gist",
            postgresql_where=text("status = 'available'"),
        ),
        Index(
            "ix_consultant_availability_slots_held_until",
            "held_until",
            postgresql_where=text("status = 'held'"),
        ),
        Index(
            "ix_consultant_availability_slots_request",
            "consultation_request_id",
            postgresql_where=text("consultation_request_id IS NOT NULL"),
        ),
        Index(
            "uq_consultant_availability_slots_session",
            "scheduled_session_id",
            unique=True,
            postgresql_where=text("scheduled_session_id IS NOT NULL"),
        ),
    )

    id: Mapped[Key]
    consultant_user_id: Mapped[UUID] = mapped_column(ForeignKey("consultant_profiles.consultant_user_id"))
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    is_recurring: Mapped[bool] = mapped_column(server_default=text("false"))
    recurrence_rule: Mapped[str | None] = mapped_column(String)
    status: Mapped[str] = mapped_column(String, server_default=text("'available'"))
    source: Mapped[str] = mapped_column(server_default=text("'manual'"))
    consultation_request_id: Mapped[UUID | None] = mapped_column(ForeignKey("consultation_requests.id"))
    scheduled_session_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("scheduled_sessions.live_id", deferrable=True, initially="DEFERRED")
    )
    requester_user_id: Mapped[UUID | None]
    session_start_time: Mapped[datetime | None]
    session_end_time: Mapped[datetime | None]
    held_until: Mapped[datetime | None]
    hold_token: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime | None]
    counted_from: Mapped[datetime | None]


class OccupiedTime(Base):
    """A span in which one person is occupied, because of one row of the slot ledger.

    A reservation has two rows: the consultant with the buffers, the requester without. A block of an absence
    plan has one, `kept`: the former time of a session, which an undone plan must find free. Triggers of the
    slot ledger write this table; every other statement is refused.
    """

    __tablename__ = "occupied_times"
    __table_args__ = (
        one_of("role", OccupiedRole),
        ExcludeConstraint(
            (column("person_id"), "="), (column("span"), "&&"), name=PERSON_CONSTRAINT, using="gist"
        ),
    )

    reservation_id: Mapped[UUID] = mapped_column(primary_key=True)
    role: Mapped[str] = mapped_column(String, primary_key=True)
    person_id: Mapped[UUID]
    span: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    session_id: Mapped[UUID | None]
    held_until: Mapped[datetime | None]
