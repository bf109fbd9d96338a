"""The directory's copy of people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from booking_tasks.models import DirectoryUser
from booking_tasks.upsert import upsert


def user_changed(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Store a person; whether that changed anything."""
    return upsert(db, DirectoryUser, values, now)
