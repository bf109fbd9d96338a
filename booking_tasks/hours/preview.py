"""Preview of a change of hours, leave, zone or region, by the functions of the projection; no writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import (
    FieldError,
    PreviewAvailability,
    PreviewOutcome,
    TimeSpan,
    UncoveredSession,
)
from booking_tasks.enums import RefusalCode
from booking_tasks.hours import store
from booking_tasks.hours.coverage import find_uncovered, offered_starts
from booking_tasks.hours.declared import first_fault, plan_of
from booking_tasks.hours.public_holidays import is_known
from booking_tasks.hours.rules import Leave, Plan, Window, clipped, leave_spans, merged, subtract
from booking_tasks.hours.service import ProjectionRange, stored_plan, target_windows, with_holidays_and_leave
from booking_tasks.models import Consultant, ServiceType


def preview_availability(db: Session, ctx: Context, query: PreviewAvailability) -> PreviewOutcome:
    """Compute the time that would be added and removed, the orphaned sessions, and the offered starts."""
    consultant = store.consultant(db, query.consultant_user_id)
    service_type = store.service_type(db, query.service_type_id) if query.service_type_id else None
    refused = _refused(db, ctx, query, consultant, service_type)
    if refused is not None or consultant is None:
        return refused or PreviewOutcome(result="refused", code=RefusalCode.UNKNOWN_CONSULTANT)
    now, then = stored_plan(db, ctx, consultant), _changed_plan(db, ctx, consultant, query)
    days = ProjectionRange.of(then, ctx)
    ledger = store.ledger(db, query.consultant_user_id, days.since)
    sessions = store.sessions_ahead(db, query.consultant_user_id, ctx.now)
    windows = [*target_windows(then, days, ledger), *ledger.others]
    away = [Window(*span) for span in leave_spans(then, ctx.now)]
    before, after = _working(ledger, ctx), clipped(subtract(merged(windows), away), since=ctx.now)
    added, removed = subtract(after, before), subtract(before, after)
    rules = (
        store.start_rules(db, query.consultant_user_id, service_type.id, ctx.now) if service_type else None
    )
    offered = offered_starts(windows, away, rules) if rules else iter(())
    return PreviewOutcome(
        result="done",
        added_count=len(added),
        removed_count=len(removed),
        added=_spans(added, query.limit),
        removed=_spans(removed, query.limit),
        orphaned=_orphaned(sessions, ledger, now, then, windows, away),
        slots=tuple(TimeSpan(start=start, end=end) for start, end in islice(offered, query.limit)),
    )


def _working(ledger: store.Ledger, ctx: Context) -> list[Window]:
    """The present working time from now on: windows without leave."""
    away = (Window(one.start, one.end) for one in ledger.blocks.values() if one.source == store.LEAVE_SOURCE)
    return clipped(subtract(merged(ledger.windows), away), since=ctx.now)


def _spans(found: Iterable[Window], limit: int) -> tuple[TimeSpan, ...]:
    return tuple(TimeSpan(start=one.start, end=one.end) for one in islice(found, limit))


def _refused(
    db: Session,
    ctx: Context,
    query: PreviewAvailability,
    consultant: Consultant | None,
    service_type: ServiceType | None,
) -> PreviewOutcome | None:
    if consultant is None:
        return PreviewOutcome(result="refused", code=RefusalCode.UNKNOWN_CONSULTANT)
    if query.service_type_id is not None and service_type is None:
        return PreviewOutcome(result="refused", code=RefusalCode.UNKNOWN_SERVICE_TYPE)
    if query.holiday_region is not None and not is_known(query.holiday_region):
        problem = "is no region with known public holidays; write ISO 3166 like AT or DE-BY"
        errors = (FieldError(field="holiday_region", problem=problem),)
        return PreviewOutcome(result="refused", code=RefusalCode.UNKNOWN_HOLIDAY_REGION, errors=errors)
    if set(query.removed_leave_ids) - store.leaves(db, query.consultant_user_id).keys():
        return PreviewOutcome(result="refused", code=RefusalCode.UNKNOWN_LEAVE)
    fault = first_fault(query.hours) if query.hours is not None else None
    if fault is not None:
        return PreviewOutcome(result="refused", code=fault.code, message=fault.problem, errors=fault.errors)
    return None


def _changed_plan(db: Session, ctx: Context, consultant: Consultant, query: PreviewAvailability) -> Plan:
    leaves = store.leaves(db, consultant.consultant_user_id)
    kept = [one for leave_id, one in leaves.items() if leave_id not in query.removed_leave_ids]
    more = [Leave(one.start, one.end) for one in query.added_leave]
    hours = query.hours or store.declared_hours(db, consultant.consultant_user_id)
    plan = plan_of(query.time_zone or consultant.time_zone, hours)
    region = query.holiday_region or consultant.holiday_region
    return with_holidays_and_leave(plan, ctx, region, (*kept, *more))


def _orphaned(
    sessions: Sequence[store.FutureSession],
    ledger: store.Ledger,
    now: Plan,
    then: Plan,
    windows: Sequence[Window],
    away: Sequence[Window],
) -> tuple[UncoveredSession, ...]:
    """The sessions that are covered now and would not be covered after the change."""
    blocks = list(ledger.blocks.values())
    lost = {one.session_id for one in find_uncovered(sessions, ledger.windows, blocks, now)}
    then_taken = [one for one in blocks if one.source != store.LEAVE_SOURCE]
    then_taken += [store.Block(one.start, one.end, store.LEAVE_SOURCE) for one in away]
    found = find_uncovered(sessions, windows, then_taken, then)
    return tuple(one for one in found if one.session_id not in lost)
