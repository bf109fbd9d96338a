"""The catalogue's rows: service types and consultants."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking_tasks.models import Consultant, ConsultantPolicy, DirectoryUser, ServiceType, SpecializationAlias
from booking_tasks.models.upsert import upsert

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


def wait_for_maker(db: Session, consultant_user_id: UUID) -> None:
    """Let whoever makes this consultant's profile at this moment be through: there is no row to lock yet."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended('consultant:' || CAST(:who AS uuid), 0))")
    db.execute(lock, {"who": consultant_user_id})


def are_service_types(db: Session, ids: Collection[UUID]) -> bool:
    """Whether every one of the ids names a service type."""
    if not ids:
        return True
    found = db.execute(select(func.count()).where(ServiceType.id.in_(ids))).scalar_one()
    return found == len(set(ids))


def aliases_changed(db: Session, wanted: Mapping[str, str], now: datetime) -> bool:
    """Make the aliases these, all of them; whether that changed anything."""
    db.execute(text("LOCK TABLE specialization_aliases IN SHARE ROW EXCLUSIVE MODE"))
    rows = db.execute(select(SpecializationAlias.alias, SpecializationAlias.specialization))
    if {row[0]: row[1] for row in rows} == wanted:
        return False
    db.execute(delete(SpecializationAlias))
    if wanted:
        db.execute(
            insert(SpecializationAlias),
            [{"alias": alias, "specialization": meant, "created_at": now} for alias, meant in wanted.items()],
        )
    return True


def user_changed(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Store a person; whether that changed anything."""
    return upsert(db, DirectoryUser, values, now)


def policy_changed(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Store a consultant's policy; whether that changed anything."""
    return upsert(db, ConsultantPolicy, values, now)


def policy_deleted(db: Session, key: Mapping[str, UUID]) -> bool:
    """Take a consultant's policy away; whether there was one."""
    gone = delete(ConsultantPolicy).filter_by(**key).returning(ConsultantPolicy.consultant_user_id)
    return db.execute(gone).first() is not None
