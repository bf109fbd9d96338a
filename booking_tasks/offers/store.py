"""Reads and inserts offers."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.enums import OfferState
from booking_tasks.models import TimeOffer


def insert_offer(db: Session, **values: Any) -> bool:
    """Insert an offer; False when the request has an open one, or was offered this start before."""
    made = insert(TimeOffer).values(**values).on_conflict_do_nothing().returning(TimeOffer.id)
    return db.execute(made).first() is not None


def open_offer(db: Session, request_id: UUID) -> TimeOffer | None:
    """Return the request's open offer, also one whose time is over."""
    return _one(db, TimeOffer.consultation_request_id == request_id, TimeOffer.state == OfferState.OPEN)


def offer_by_token(db: Session, request_id: UUID, hold_token: UUID) -> TimeOffer | None:
    """Return the request's offer with this token, in any state."""
    return _one(db, TimeOffer.consultation_request_id == request_id, TimeOffer.hold_token == hold_token)


def _one(db: Session, *conditions: Any) -> TimeOffer | None:
    found = select(TimeOffer).where(*conditions).execution_options(populate_existing=True)
    return db.execute(found).scalar_one_or_none()


def lapse_count(db: Session, request_id: UUID) -> int:
    """Return how many of the request's offers were not answered."""
    counted = select(func.count()).where(
        TimeOffer.consultation_request_id == request_id, TimeOffer.state == OfferState.LAPSED
    )
    return db.execute(counted).scalar_one()


def requests_with_lapsed_offers(db: Session, now: datetime, limit: int) -> list[UUID]:
    """Return the requests whose open offer is over, the earliest end first."""
    return list(
        db.execute(
            select(TimeOffer.consultation_request_id)
            .where(TimeOffer.state == OfferState.OPEN, TimeOffer.offered_until <= now)
            .order_by(TimeOffer.offered_until)
            .limit(limit)
        ).scalars()
    )
