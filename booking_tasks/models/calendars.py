"""The outside calendars of consultants, and the state of their last refresh."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.enums import FeedType
from booking_tasks.models.base import Base, CreatedAt, Key, LongText, one_of


class CalendarFeed(Base):
    """One outside calendar of a consultant; its busy time is stored as blocks of the slot ledger.

    `url`, `username` and `password` are secrets: they give access to somebody's calendar. `addresses` are
    the mail addresses under which its owner is invited.

    `etag` and `last_modified` are the validators of the copy that was read. The copy reaches to `read_until`
    and was read with the options of `options_digest`; with other options the calendar is read again in full.
    `good_at` (business clock) is when the ledger last matched the calendar. `due_at` and `lease_until` are
    instants of the database's real time. `alerted_at` is set once for each outage.
    """

    __tablename__ = "calendar_feeds"
    __table_args__ = (
        one_of("feed_type", FeedType),
        CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name="lease"),
        CheckConstraint("failures >= 0 AND unreadable >= 0", name="counts"),
        Index(None, "consultant_user_id"),
        Index(None, "due_at"),
    )

    id: Mapped[Key]
    consultant_user_id: Mapped[UUID] = mapped_column(ForeignKey("consultant_profiles.consultant_user_id"))
    feed_type: Mapped[str]
    url: Mapped[LongText]
    username: Mapped[LongText | None]
    password: Mapped[LongText | None]
    addresses: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    all_day_busy: Mapped[bool] = mapped_column(server_default=text("false"))
    etag: Mapped[LongText | None]
    last_modified: Mapped[LongText | None]
    options_digest: Mapped[str | None]
    read_until: Mapped[datetime | None]
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    lease_token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    good_at: Mapped[datetime | None]
    tried_at: Mapped[datetime | None]
    alerted_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    unreadable: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[LongText | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime | None]
    missing_time: Mapped[int] = mapped_column(server_default=text("0"))
    superseded: Mapped[int] = mapped_column(server_default=text("0"))
    ambiguous: Mapped[int] = mapped_column(server_default=text("0"))
