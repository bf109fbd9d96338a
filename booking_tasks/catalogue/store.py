"""The catalogue's rows: service types and consultants."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking_tasks.models import Consultant, ServiceType
from booking_tasks.upsert import upsert

_NAME = "uq_consultation_service_types_name"


class NameTakenError(Exception):
    """Another service type has this name already."""


def service_type_changed(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Store a service type; whether that changed anything. Raises NameTakenError."""
    try:
        with db.begin_nested():
            return upsert(db, ServiceType, values, now)
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation) and error.orig.diag.constraint_name == _NAME:
            raise NameTakenError(values["name"]) from None
        raise


def consultant_changed(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Store a consultant's profile; whether that changed anything."""
    return upsert(db, Consultant, values, now)
