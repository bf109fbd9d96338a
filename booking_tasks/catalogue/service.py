"""Creating and changing what is offered and who offers it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability.store import lock_consultant
from booking_tasks.catalogue import store
from booking_tasks.context import Context
from booking_tasks.contracts import (
    AliasesOutcome,
    ConsultantOutcome,
    FieldError,
    ServiceTypeOutcome,
    SetSpecializationAliases,
    UpsertConsultant,
    UpsertServiceType,
)
from booking_tasks.credits.service import calibrate, credit_absence
from booking_tasks.hours import service as hours
from booking_tasks.hours.public_holidays import is_known
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import Consultant
from booking_tasks.outbox.capacity_released import record_capacity_released

_ENVELOPE = {"message_id", "actor"}


def upsert_service_type(db: Session, ctx: Context, command: UpsertServiceType) -> ServiceTypeOutcome:
    """Create or change a service type. Agreed sessions stay as they are."""
    values = command.model_dump(exclude=_ENVELOPE | {"service_type_id"}) | {"id": command.service_type_id}
    if command.assignment_weights is not None:
        own = command.assignment_weights.model_dump(exclude_none=True)
        fault = ctx.policies.assignment_weights.changed(own).fault
        if fault is not None:
            return ServiceTypeOutcome.refusal(
                "contradictory_weights", "assignment_weights", f"with the deployment's: {fault}"
            )
        values["assignment_weights"] = own
    try:
        changed = store.service_type_changed(db, values, ctx.now)
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


def upsert_consultant(db: Session, ctx: Context, command: UpsertConsultant) -> ConsultantOutcome:
    """Create or change a consultant's profile.

    Hours are wall-clock times: in another zone the declared ones are other instants, at once; in another
    region other days are public holidays. Agreed sessions stay as they are.
    """
    refusal = _unusable(db, command)
    if refusal is not None:
        return refusal
    known = lock_consultant(db, command.consultant_user_id)
    if known is None:
        store.wait_for_maker(db, command.consultant_user_id)
        known = lock_consultant(db, command.consultant_user_id)
    read_before = (known.time_zone, known.holiday_region) if known else None
    _keep_fair(db, ctx, known, command)
    changed = store.consultant_changed(db, _profile(ctx, known, command), ctx.now)
    if changed:
        record_capacity_released(db, ctx, [command.consultant_user_id], "profile")
    if read_before not in {None, (command.time_zone, command.holiday_region)}:
        return _read_anew(db, ctx, command.consultant_user_id)
    return ConsultantOutcome(
        result="done" if changed else "already_done", consultant_user_id=command.consultant_user_id
    )


def _unusable(db: Session, command: UpsertConsultant) -> ConsultantOutcome | None:
    if command.holiday_region is not None and not is_known(command.holiday_region):
        problem = "is no region with known public holidays; write ISO 3166 like AT or DE-BY"
        return ConsultantOutcome.refusal("unknown_holiday_region", "holiday_region", problem)
    if not store.are_service_types(db, command.service_type_ids or ()):
        problem = "names a service type that there is not; make it first, or leave it out"
        return ConsultantOutcome.refusal("unknown_service_type", "service_type_ids", problem)
    return None


def _profile(ctx: Context, known: Consultant | None, command: UpsertConsultant) -> dict[str, Any]:
    values = command.model_dump(exclude=_ENVELOPE)
    for name in ("specializations", "languages", "service_type_ids", "company_ids"):
        values[name] = None if values[name] is None else list(values[name])
    since = known.unavailable_since if known else None
    values["unavailable_since"] = None if command.is_available_for_booking else since or ctx.now
    return values


def _keep_fair(db: Session, ctx: Context, known: Consultant | None, command: UpsertConsultant) -> None:
    """A new weight holds from now on; who was away is not flooded when they come back."""
    if known is None:
        return
    if command.assignment_weight != known.assignment_weight:
        calibrate(db, ctx, known.consultant_user_id, known.assignment_weight, command.assignment_weight)
    if command.is_available_for_booking and known.unavailable_since is not None:
        credit_absence(
            db, ctx, known.consultant_user_id, known.unavailable_since, ctx.now, uuid7(), "inactive"
        )


def set_specialization_aliases(
    db: Session, ctx: Context, command: SetSpecializationAliases
) -> AliasesOutcome:
    """Replace all aliases; a request that waits is looked at with them from the next look on."""
    wanted: dict[str, str] = {}
    for one in command.aliases:
        alias, meant = one.alias.casefold(), one.specialization.casefold()
        if alias == meant or wanted.get(alias, meant) != meant:
            return _contradictory(one.alias, "of itself" if alias == meant else "of two specializations")
        wanted[alias] = meant
    chained = next((alias for alias, meant in wanted.items() if meant in wanted), None)
    if chained is not None:
        return _contradictory(chained, "of another alias; name the specialization itself")
    changed = store.aliases_changed(db, wanted, ctx.now)
    return AliasesOutcome(result="done" if changed else "already_done", count=len(wanted))


def _contradictory(alias: str, of: str) -> AliasesOutcome:
    return AliasesOutcome.refusal("contradictory_aliases", "aliases", f"makes {alias} an alias {of}")


def _read_anew(db: Session, ctx: Context, consultant_user_id: UUID) -> ConsultantOutcome:
    hours.extend(db, ctx, consultant_user_id)
    found = hours.uncovered_sessions(db, ctx, consultant_user_id)
    return ConsultantOutcome(
        result="done", consultant_user_id=consultant_user_id, uncovered=tuple(found or ())
    )
