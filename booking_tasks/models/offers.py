"""Offers of time to requests on the waiting list."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.enums import OfferState
from booking_tasks.models.base import Base, Key, one_of


class TimeOffer(Base):
    """A start that is held for a waiting request until its requester answers, or until `offered_until`.

    The hold has the same token; two offers of the same time would be two overlapping holds, which the slot
    ledger refuses. A request has at most one open offer, and is offered each start once. The id is that of
    the event that announced the offer. An open offer whose time is over has lapsed, although its row
    changes later.
    """

    __tablename__ = "time_offers"
    __table_args__ = (
        one_of("state", OfferState),
        CheckConstraint("end_time > start_time AND offered_until <= start_time", name="times"),
        CheckConstraint("(state = 'open') = (ended_at IS NULL)", name="ended"),
        UniqueConstraint("hold_token"),
        UniqueConstraint(
            "consultation_request_id", "consultant_user_id", "start_time", name="uq_time_offers_once"
        ),
        Index(
            "uq_time_offers_open",
            "consultation_request_id",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_time_offers_open_until", "offered_until", postgresql_where=text("state = 'open'")),
        Index(None, "consultant_user_id"),
    )

    id: Mapped[Key]
    consultation_request_id: Mapped[UUID] = mapped_column(ForeignKey("consultation_requests.id"))
    consultant_user_id: Mapped[UUID] = mapped_column(ForeignKey("consultant_profiles.consultant_user_id"))
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    hold_token: Mapped[UUID]
    state: Mapped[str] = mapped_column(String, server_default=text("'open'"))
    offered_at: Mapped[datetime]
    offered_until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
