"""The use cases of the catalogue: service types, consultants' profiles, aliases of specializations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability.store import lock_consultant
from booking_tasks.catalogue import store
from booking_tasks.catalogue.invites_ahead import update_invites
from booking_tasks.context import Context
from booking_tasks.contracts import (
    AliasesOutcome,
    ConsultantOutcome,
    ServiceTypeOutcome,
    SetSpecializationAliases,
    UpsertConsultant,
    UpsertServiceType,
)
from booking_tasks.credits.service import calibrate, credit_absence
from booking_tasks.enums import RefusalCode
from booking_tasks.hours import service as hours
from booking_tasks.hours.public_holidays import is_known
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import Consultant
from booking_tasks.outbox.capacity_released import record_capacity_released

_ENVELOPE = {"message_id", "actor"}


def upsert_service_type(db: Session, ctx: Context, command: UpsertServiceType) -> ServiceTypeOutcome:
    """Create or change a service type. Existing sessions stay as they are, but for a new name."""
    values = command.model_dump(exclude=_ENVELOPE | {"service_type_id"}) | {"id": command.service_type_id}
    if command.assignment_weights is not None:
        own = command.assignment_weights.model_dump(exclude_none=True)
        fault = ctx.policies.assignment_weights.with_changes(own).problem
        if fault is not None:
            return ServiceTypeOutcome.refusal(
                RefusalCode.CONTRADICTORY_WEIGHTS, "assignment_weights", f"with the deployment's: {fault}"
            )
        values["assignment_weights"] = own
    name_before = store.locked_service_name(db, command.service_type_id)
    try:
        changed = store.upsert_service_type_row(db, values, ctx.now)
    except store.NameTakenError as error:
        return _refused_name(error)
    ahead = None
    if not command.is_active:
        ahead = store.count_sessions_ahead(db, command.service_type_id, ctx.now)
    if name_before not in {None, command.name}:
        update_invites(db, ctx, command.service_type_id)
    return ServiceTypeOutcome(
        result="done" if changed else "already_done",
        message=horizon_warning(ctx, command.horizon_days),
        service_type_id=command.service_type_id,
        sessions_ahead=ahead,
    )


def horizon_warning(ctx: Context, horizon_days: int | None) -> str | None:
    """What to do about a horizon for which no hours are known; None for any other."""
    known = ctx.policies.horizon // timedelta(days=1)
    if horizon_days is None or horizon_days <= known:
        return None
    return f"horizon_days is beyond BOOKING_HORIZON ({known} days): raise that, or later starts are refused"


def _refused_name(error: store.NameTakenError) -> ServiceTypeOutcome:
    holder = f"service type {error.service_type_id}"
    if error.is_active:
        return ServiceTypeOutcome.refusal(
            RefusalCode.NAME_TAKEN, "name", f"belongs to {holder}; choose a different one"
        )
    problem = f"belongs to the inactive {holder}; give that one another name first, or make it active again"
    return ServiceTypeOutcome.refusal(RefusalCode.NAME_TAKEN, "name", problem)


def upsert_consultant(db: Session, ctx: Context, command: UpsertConsultant) -> ConsultantOutcome:
    """Create or change a consultant's profile.

    Hours are wall-clock times: a new zone or holiday region changes the instants of the declared hours, and
    they are projected again at once. Existing sessions stay as they are.
    """
    refusal = _unknown_reference(db, command)
    if refusal is not None:
        return refusal
    known = lock_consultant(db, command.consultant_user_id)
    if known is None:
        store.lock_consultant_creation(db, command.consultant_user_id)
        known = lock_consultant(db, command.consultant_user_id)
    zone_before = known.time_zone if known else None
    hours_before = (known.time_zone, known.holiday_region) if known else None
    offer_before = _offer_of(known) if known else None
    _adjust_credits(db, ctx, known, command)
    changed = store.upsert_consultant_row(db, _profile(ctx, known, command), ctx.now)
    if changed:
        record_capacity_released(db, ctx, [command.consultant_user_id], "profile")
    if known is not None and hours_before != (command.time_zone, command.holiday_region):
        if zone_before != command.time_zone:
            hours.reread_calendars(db, command.consultant_user_id)
        hours.extend(db, ctx, command.consultant_user_id)
        return _with_uncovered(db, ctx, command.consultant_user_id)
    if known is not None and offer_before != _offer_of(command):
        db.refresh(known)  # the row was changed by a statement
        return _with_uncovered(db, ctx, command.consultant_user_id)
    return ConsultantOutcome(
        result="done" if changed else "already_done", consultant_user_id=command.consultant_user_id
    )


def _unknown_reference(db: Session, command: UpsertConsultant) -> ConsultantOutcome | None:
    if command.holiday_region is not None and not is_known(command.holiday_region):
        problem = "is no region with known public holidays; write ISO 3166 like AT or DE-BY"
        return ConsultantOutcome.refusal(RefusalCode.UNKNOWN_HOLIDAY_REGION, "holiday_region", problem)
    if not store.has_service_types(db, command.service_type_ids or ()):
        problem = "names an unknown service type; create it first, or leave it out"
        return ConsultantOutcome.refusal(RefusalCode.UNKNOWN_SERVICE_TYPE, "service_type_ids", problem)
    return None


def _profile(ctx: Context, known: Consultant | None, command: UpsertConsultant) -> dict[str, Any]:
    values = command.model_dump(exclude=_ENVELOPE)
    for name in ("specializations", "languages", "service_type_ids", "company_ids"):
        values[name] = None if values[name] is None else list(values[name])
    since = known.unavailable_since if known else None
    values["unavailable_since"] = None if command.is_available_for_booking else since or ctx.now
    return values


def _adjust_credits(db: Session, ctx: Context, known: Consultant | None, command: UpsertConsultant) -> None:
    """Keep the fairness balance comparable after a new weight and after a time without bookings.

    A new weight counts from now on. A consultant who took no bookings for a time is not assigned every
    request when they return.
    """
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
    """Replace all aliases; requests that wait are evaluated with the new ones from the next sweep on."""
    aliases: dict[str, str] = {}
    for one in command.aliases:
        alias, meant = one.alias.casefold(), one.specialization.casefold()
        if alias == meant or aliases.get(alias, meant) != meant:
            return _contradiction(one.alias, "of itself" if alias == meant else "of two specializations")
        aliases[alias] = meant
    chained = next((alias for alias, meant in aliases.items() if meant in aliases), None)
    if chained is not None:
        return _contradiction(chained, "of another alias; name the specialization itself")
    changed = store.replace_aliases(db, aliases, ctx.now)
    return AliasesOutcome(result="done" if changed else "already_done", count=len(aliases))


def _contradiction(alias: str, of: str) -> AliasesOutcome:
    return AliasesOutcome.refusal(
        RefusalCode.CONTRADICTORY_ALIASES, "aliases", f"makes {alias} an alias {of}"
    )


def _offer_of(profile: Consultant | UpsertConsultant) -> tuple[bool, frozenset[UUID] | None]:
    """Whether a profile takes bookings, and of which service types; None means all."""
    offered = profile.service_type_ids
    return profile.is_available_for_booking, None if offered is None else frozenset(offered)


def _with_uncovered(db: Session, ctx: Context, consultant_user_id: UUID) -> ConsultantOutcome:
    found = hours.uncovered_sessions(db, ctx, consultant_user_id)
    return ConsultantOutcome(
        result="done", consultant_user_id=consultant_user_id, uncovered=tuple(found or ())
    )
