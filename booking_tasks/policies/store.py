"""The rows of consultants' own policies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.orm import Session

from booking_tasks.models import ConsultantPolicy
from booking_tasks.upsert import upsert


def policy_changed(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Store a consultant's policy; whether that changed anything."""
    return upsert(db, ConsultantPolicy, values, now)


def policy_deleted(db: Session, key: Mapping[str, UUID]) -> bool:
    """Take a consultant's policy away; whether there was one."""
    gone = delete(ConsultantPolicy).filter_by(**key).returning(ConsultantPolicy.consultant_user_id)
    return db.execute(gone).first() is not None
