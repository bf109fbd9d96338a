"""The rows of the catalogue: service types, consultants, policies, aliases, people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy import Row, delete, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking_tasks.enums import SessionStatus
from booking_tasks.models import (
    Consultant,
    ConsultantPolicy,
    DirectoryUser,
    ScheduledSession,
    ServiceType,
    SpecializationAlias,
)
from booking_tasks.models.upsert import upsert

_NAME = "uq_consultation_service_types_name"


class NameTakenError(Exception):
    """Another service type has this name: its id, and whether it is active."""

    def __init__(self, service_type_id: UUID, *, is_active: bool) -> None:
        super().__init__(service_type_id)
        self.service_type_id, self.is_active = service_type_id, is_active


def upsert_service_type_row(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Insert or update a service type; return whether that changed anything. Raises NameTakenError."""
    try:
        with db.begin_nested():
            return upsert(db, ServiceType, values, now)
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation) and error.orig.diag.constraint_name == _NAME:
            holder = select(ServiceType.id, ServiceType.is_active).where(ServiceType.name == values["name"])
            service_type_id, is_active = db.execute(holder).one()
            raise NameTakenError(service_type_id, is_active=is_active) from None
        raise


def count_sessions_ahead(db: Session, service_type_id: UUID, now: datetime) -> int:
    """The number of scheduled sessions of a service type that have not begun."""
    return db.execute(
        select(func.count()).where(
            ScheduledSession.consultation_service_type_id == service_type_id,
            ScheduledSession.status == SessionStatus.SCHEDULED,
            ScheduledSession.scheduled_start_time > now,
        )
    ).scalar_one()


def upsert_consultant_row(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Insert or update a consultant's profile; return whether that changed anything."""
    return upsert(db, Consultant, values, now)


def lock_consultant_creation(db: Session, consultant_user_id: UUID) -> None:
    """Lock the creation of a consultant's profile, because there is no row to lock yet."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended('consultant:' || CAST(:who AS uuid), 0))")
    db.execute(lock, {"who": consultant_user_id})


def has_service_types(db: Session, ids: Collection[UUID]) -> bool:
    """Whether each of the ids names a service type."""
    if not ids:
        return True
    found = db.execute(select(func.count()).where(ServiceType.id.in_(ids))).scalar_one()
    return found == len(set(ids))


def replace_aliases(db: Session, aliases: Mapping[str, str], now: datetime) -> bool:
    """Replace all aliases; return whether that changed anything."""
    db.execute(text("LOCK TABLE specialization_aliases IN SHARE ROW EXCLUSIVE MODE"))
    rows = db.execute(select(SpecializationAlias.alias, SpecializationAlias.specialization))
    if {row[0]: row[1] for row in rows} == aliases:
        return False
    db.execute(delete(SpecializationAlias))
    if aliases:
        db.execute(
            insert(SpecializationAlias),
            [
                {"alias": alias, "specialization": meant, "created_at": now}
                for alias, meant in aliases.items()
            ],
        )
    return True


def locked_person(db: Session, user_id: UUID) -> Row[str, str] | None:
    """Name and address of a person, locked against other changes, or None."""
    return db.execute(
        select(DirectoryUser.name, DirectoryUser.email)
        .where(DirectoryUser.user_id == user_id)
        .with_for_update(key_share=True)
    ).first()


def locked_service_name(db: Session, service_type_id: UUID) -> str | None:
    """The name of a service type, locked against other changes, or None."""
    return db.execute(
        select(ServiceType.name).where(ServiceType.id == service_type_id).with_for_update(key_share=True)
    ).scalar_one_or_none()


def upsert_user_row(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Insert or update a person; return whether that changed anything."""
    return upsert(db, DirectoryUser, values, now)


def upsert_policy_row(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Insert or update a consultant's policy; return whether that changed anything."""
    return upsert(db, ConsultantPolicy, values, now)


def delete_policy(db: Session, key: Mapping[str, UUID]) -> bool:
    """Delete a consultant's policy; return whether there was one."""
    gone = delete(ConsultantPolicy).filter_by(**key).returning(ConsultantPolicy.consultant_user_id)
    return db.execute(gone).first() is not None
