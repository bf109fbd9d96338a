"""What a change of hours, leave, zone or region would do: the projection's own functions, writing nothing."""

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
from booking_tasks.hours import store
from booking_tasks.hours.coverage import starts, uncovered
from booking_tasks.hours.declared import fault_of, plan_of
from booking_tasks.hours.public_holidays import is_known
from booking_tasks.hours.rules import Leave, Plan, Window, apart, clipped, leave_spans, merged
from booking_tasks.hours.service import Stretch, completed, stored_plan, wanted_windows
from booking_tasks.models import Consultant, ServiceType


def preview_availability(db: Session, ctx: Context, query: PreviewAvailability) -> PreviewOutcome:
    """What would be added, removed and orphaned, and which starts there would be."""
    consultant = store.consultant(db, query.consultant_user_id)
    kind = store.service_type(db, query.service_type_id) if query.service_type_id else None
    refused = _refused(db, ctx, query, consultant, kind)
    if refused is not None or consultant is None:
        return refused or PreviewOutcome(result="refused", code="unknown_consultant")
    now, then = stored_plan(db, ctx, consultant), _changed_plan(db, ctx, consultant, query)
    stretch = Stretch.of(then, ctx)
    ledger = store.ledger(db, query.consultant_user_id, stretch.since)
    sessions = store.sessions_ahead(db, query.consultant_user_id, ctx.now)
    windows = [*wanted_windows(then, stretch, ledger), *ledger.others]
    away = [Window(*span) for span in leave_spans(then, ctx.now)]
    before, after = _working(ledger, ctx), clipped(apart(merged(windows), away), since=ctx.now)
    added, removed = apart(after, before), apart(before, after)
    offer = store.offer(db, query.consultant_user_id, kind.id, ctx.now) if kind else None
    offered = starts(windows, away, offer) if offer else iter(())
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
    """The working time ahead as it stands: windows without leave."""
    away = (Window(one.start, one.end) for one in ledger.blocks.values() if one.source == store.LEAVE_SOURCE)
    return clipped(apart(merged(ledger.windows), away), since=ctx.now)


def _spans(found: Iterable[Window], limit: int) -> tuple[TimeSpan, ...]:
    return tuple(TimeSpan(start=one.start, end=one.end) for one in islice(found, limit))


def _refused(
    db: Session,
    ctx: Context,
    query: PreviewAvailability,
    consultant: Consultant | None,
    kind: ServiceType | None,
) -> PreviewOutcome | None:
    if consultant is None:
        return PreviewOutcome(result="refused", code="unknown_consultant")
    if query.service_type_id is not None and kind is None:
        return PreviewOutcome(result="refused", code="unknown_service_type")
    if query.holiday_region is not None and not is_known(query.holiday_region):
        problem = "is no region with known public holidays; write ISO 3166 like AT or DE-BY"
        errors = (FieldError(field="holiday_region", problem=problem),)
        return PreviewOutcome(result="refused", code="unknown_holiday_region", errors=errors)
    if set(query.removed_leave_ids) - store.leaves(db, query.consultant_user_id).keys():
        return PreviewOutcome(result="refused", code="unknown_leave")
    fault = fault_of(query.hours) if query.hours is not None else None
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
    return completed(plan, ctx, region, (*kept, *more))


def _orphaned(
    sessions: Sequence[store.Agreed],
    ledger: store.Ledger,
    now: Plan,
    then: Plan,
    windows: Sequence[Window],
    away: Sequence[Window],
) -> tuple[UncoveredSession, ...]:
    """The sessions that are covered as things stand, and would not be."""
    blocks = list(ledger.blocks.values())
    lost = {one.session_id for one in uncovered(sessions, ledger.windows, blocks, now)}
    then_taken = [one for one in blocks if one.source != store.LEAVE_SOURCE]
    then_taken += [store.Block(one.start, one.end, store.LEAVE_SOURCE) for one in away]
    found = uncovered(sessions, windows, then_taken, then)
    return tuple(one for one in found if one.session_id not in lost)
