"""Creating and changing what is offered and who offers it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability.store import lock_consultant
from booking_tasks.catalogue import store
from booking_tasks.contracts import (
    ConsultantOutcome,
    FieldError,
    ServiceTypeOutcome,
    UpsertConsultant,
    UpsertServiceType,
)
from booking_tasks.freed import note_freed
from booking_tasks.hours import service as hours
from booking_tasks.hours.public_holidays import is_known
from booking_tasks.occasion import Occasion

_ENVELOPE = {"message_id", "actor"}


def upsert_service_type(db: Session, occasion: Occasion, command: UpsertServiceType) -> ServiceTypeOutcome:
    """Create or change a service type. Code: `name_taken`. Agreed sessions stay as they are."""
    values = command.model_dump(exclude=_ENVELOPE | {"service_type_id"}) | {"id": command.service_type_id}
    try:
        changed = store.service_type_changed(db, values, occasion.now)
    except store.NameTakenError:
        return ServiceTypeOutcome(
            result="refused",
            code="name_taken",
            message="another service type has this name; choose a different one",
            errors=(FieldError(field="name", problem="belongs to another service type"),),
        )
    return ServiceTypeOutcome(
        result="done" if changed else "already_done", service_type_id=command.service_type_id
    )


def upsert_consultant(db: Session, occasion: Occasion, command: UpsertConsultant) -> ConsultantOutcome:
    """Create or change a consultant's profile.

    Hours are wall-clock times: in another zone the declared ones are other instants, at once; in another
    region other days are public holidays. Agreed sessions stay as they are.
    """
    if command.holiday_region is not None and not is_known(command.holiday_region):
        return _unknown_region()
    known = lock_consultant(db, command.consultant_user_id)
    read_before = (known.time_zone, known.holiday_region) if known else None
    values = command.model_dump(exclude=_ENVELOPE)
    values["specializations"] = list(command.specializations)
    changed = store.consultant_changed(db, values, occasion.now)
    if changed:
        note_freed(db, occasion, [command.consultant_user_id], "profile")
    if read_before not in {None, (command.time_zone, command.holiday_region)}:
        return _read_anew(db, occasion, command.consultant_user_id)
    return ConsultantOutcome(
        result="done" if changed else "already_done", consultant_user_id=command.consultant_user_id
    )


def _read_anew(db: Session, occasion: Occasion, consultant_user_id: UUID) -> ConsultantOutcome:
    hours.extend(db, occasion, consultant_user_id)
    found = hours.uncovered_sessions(db, occasion, consultant_user_id)
    return ConsultantOutcome(
        result="done", consultant_user_id=consultant_user_id, uncovered=tuple(found or ())
    )


def _unknown_region() -> ConsultantOutcome:
    problem = "is no region with known public holidays; write ISO 3166 like AT or DE-BY"
    return ConsultantOutcome(
        result="refused",
        code="unknown_holiday_region",
        message=f"holiday_region {problem}",
        errors=(FieldError(field="holiday_region", problem=problem),),
    )
