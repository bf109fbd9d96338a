"""Declaration of hours and leave, and their projection to windows, under the consultant's lock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Never
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability.store import lock_consultant
from booking_tasks.context import Context
from booking_tasks.contracts import (
    AddLeave,
    AvailabilityOutcome,
    RemoveLeave,
    SetAvailability,
    UncoveredSession,
)
from booking_tasks.contracts.hours import AddLeaveCode, RemoveLeaveCode, SetAvailabilityCode
from booking_tasks.enums import RefusalCode
from booking_tasks.hours import store
from booking_tasks.hours.coverage import Offer, find_not_offered, find_uncovered
from booking_tasks.hours.declared import first_fault, plan_of
from booking_tasks.hours.local_times import instant_of
from booking_tasks.hours.public_holidays import public_holidays
from booking_tasks.hours.rules import (
    LONGEST,
    Leave,
    Plan,
    Window,
    clipped,
    leave_spans,
    rejoined,
    subtract,
    windows,
)
from booking_tasks.kit.instants import Span
from booking_tasks.kit.time_zones import tzdata_version
from booking_tasks.models import Consultant
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.capacity_released import record_capacity_released
from booking_tasks.outbox.event_types import EventType

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Projection:
    """The number of windows that a projection added and removed."""

    added: int
    removed: int


def set_availability(
    db: Session, ctx: Context, command: SetAvailability
) -> AvailabilityOutcome[SetAvailabilityCode]:
    """Replace a consultant's hours and project them; the outcome lists sessions no longer covered."""
    consultant = lock_consultant(db, command.consultant_user_id)
    if consultant is None:
        return AvailabilityOutcome(result="refused", code=RefusalCode.UNKNOWN_CONSULTANT)
    fault = first_fault(command)
    if fault is not None:
        return AvailabilityOutcome(
            result="refused", code=fault.code, message=fault.problem, errors=fault.errors
        )
    if store.declared_hours(db, consultant.consultant_user_id).travel != command.travel:
        store.make_calendars_due(db, consultant.consultant_user_id)
    store.replace_declared_hours(db, consultant.consultant_user_id, command)
    return _project_and_report(db, ctx, consultant)


def add_leave(db: Session, ctx: Context, command: AddLeave) -> AvailabilityOutcome[AddLeaveCode]:
    """Add a leave; the outcome lists the sessions within it."""
    consultant = lock_consultant(db, command.consultant_user_id)
    if consultant is None:
        return AvailabilityOutcome(result="refused", code=RefusalCode.UNKNOWN_CONSULTANT)
    values = {
        "consultant_user_id": command.consultant_user_id,
        "start_local": command.start,
        "end_local": command.end,
        "reason": command.reason,
    }
    known = store.leave(db, command.leave_id)
    if known is not None:
        same = all(getattr(known, name) == value for name, value in values.items())
        return AvailabilityOutcome(result="already_done") if same else _refused_leave()
    store.insert_leave(db, id=command.leave_id, **values)
    outcome = _project_and_report(db, ctx, consultant)
    if not outcome.uncovered:
        return outcome
    remedy = "plan_absence with this leave_id drafts what happens to the sessions that are not covered"
    return outcome.model_copy(update={"message": remedy})


def _refused_leave() -> AvailabilityOutcome[AddLeaveCode]:
    problem = "names a leave with other content; remove that one first, or choose a new id"
    return AvailabilityOutcome(result="refused", code=RefusalCode.LEAVE_EXISTS, message=f"leave_id {problem}")


def remove_leave(db: Session, ctx: Context, command: RemoveLeave) -> AvailabilityOutcome[RemoveLeaveCode]:
    """Remove a leave; its time is offered again."""
    consultant = lock_consultant(db, command.consultant_user_id)
    if consultant is None:
        return AvailabilityOutcome(result="refused", code=RefusalCode.UNKNOWN_CONSULTANT)
    leave = store.leave(db, command.leave_id)
    if leave is None or leave.consultant_user_id != command.consultant_user_id:
        return AvailabilityOutcome(result="refused", code=RefusalCode.UNKNOWN_LEAVE)
    store.delete_leave(db, leave)
    return _project_and_report(db, ctx, consultant)


def _project_and_report(db: Session, ctx: Context, consultant: Consultant) -> AvailabilityOutcome[Never]:
    projected = project(db, ctx, consultant)
    found = _uncovered_of(db, ctx, consultant)
    return AvailabilityOutcome(
        result="done",
        windows_added=projected.added,
        windows_removed=projected.removed,
        uncovered_session_ids=tuple(one.session_id for one in found),
        uncovered=tuple(found),
    )


def uncovered_sessions(db: Session, ctx: Context, consultant_user_id: UUID) -> list[UncoveredSession] | None:
    """The consultant's future sessions that are not covered, each with the reason; None for an unknown one.

    A session is not covered when the consultant takes no bookings or not of its service type, when its
    service type is inactive, or when it lies outside of the hours, in leave, or in an outside calendar's
    block.
    """
    consultant = store.consultant(db, consultant_user_id)
    return None if consultant is None else _uncovered_of(db, ctx, consultant)


def consultants_with_sessions_ahead(db: Session, ctx: Context) -> list[UUID]:
    """The consultants who have a future session."""
    return store.consultants_with_sessions_ahead(db, ctx.now)


def _uncovered_of(db: Session, ctx: Context, consultant: Consultant) -> list[UncoveredSession]:
    who, now = consultant.consultant_user_id, ctx.now
    sessions = store.sessions_ahead(db, who, now)
    if not sessions:
        return []
    ledger = store.ledger(db, who, now)
    plan = stored_plan(db, ctx, consultant)
    uncovered = {
        one.session_id: one
        for one in find_uncovered(sessions, ledger.windows, list(ledger.blocks.values()), plan)
    }
    offered = Offer(consultant.is_available_for_booking, consultant.service_type_ids)
    uncovered |= {one.session_id: one for one in find_not_offered(sessions, offered)}
    return [uncovered[one.id] for one in sessions if one.id in uncovered]


def reread_calendars(db: Session, consultant_user_id: UUID) -> None:
    """Read the outside calendars of a consultant again at once, because they are in another zone now."""
    store.make_calendars_due(db, consultant_user_id)


def travel_days(db: Session, consultant_user_id: UUID) -> tuple[tuple[date, date, str], ...]:
    """The declared trips of a consultant: first and last day, both included, and the zone."""
    declared = store.declared_hours(db, consultant_user_id).travel
    return tuple((one.first_day, one.last_day, one.time_zone) for one in declared)


def stored_plan(db: Session, ctx: Context, consultant: Consultant) -> Plan:
    """The stored plan of a consultant, with public holidays and leave."""
    leaves = store.leaves(db, consultant.consultant_user_id)
    hours = store.declared_hours(db, consultant.consultant_user_id)
    plan = plan_of(consultant.time_zone, hours)
    return with_holidays_and_leave(plan, ctx, consultant.holiday_region, tuple(leaves.values()))


def with_holidays_and_leave(plan: Plan, ctx: Context, region: str | None, leaves: tuple[Leave, ...]) -> Plan:
    """The plan with the public holidays up to the horizon, and with leave."""
    days = ProjectionRange.of(plan, ctx)
    return replace(plan, holidays=public_holidays(region, days.first, days.last), leaves=leaves)


@dataclass(frozen=True)
class ProjectionRange:
    """The local days for which windows are projected; windows before the instant `since` stay as they are."""

    first: date
    last: date
    since: datetime

    @staticmethod
    def of(plan: Plan, ctx: Context) -> ProjectionRange:
        """From yesterday to the horizon, with earlier days from which a window may reach into it."""
        today = ctx.now.astimezone(plan.zone).date()
        since = instant_of(datetime.combine(today - _DAY, time()), plan.zone)
        return ProjectionRange(today - 2 * _DAY - LONGEST, today + ctx.policies.horizon, since)


def target_windows(plan: Plan, days: ProjectionRange, ledger: store.Ledger) -> list[Window]:
    """The windows that the plan makes from `since` on; one that began before keeps its start.

    Time of windows from another source is left out. Whatever is left out, starts are counted from where the
    declared hours began.
    """
    made = clipped(windows(plan, days.first, days.last), since=days.since)
    history = (one for one in ledger.rules if one.start < days.since <= one.end)
    return rejoined([*clipped(history, until=days.since), *subtract(made, ledger.others)])


def project(db: Session, ctx: Context, consultant: Consultant) -> Projection:
    """Project a locked consultant's plan to windows and leave blocks up to the horizon.

    Writes only the rows that differ, and never a reservation.
    """
    who, plan = consultant.consultant_user_id, stored_plan(db, ctx, consultant)
    days = ProjectionRange.of(plan, ctx)
    ledger = store.ledger(db, who, days.since)
    target = dict.fromkeys(target_windows(plan, days, ledger))
    removed = [row for window, row in ledger.rules.items() if window not in target]
    added = [window for window in target if window not in ledger.rules]
    store.update_windows(db, who, removed, added)
    unblocked = _project_leave(db, who, leave_spans(plan, days.since), ledger)
    if added or unblocked:
        record_capacity_released(db, ctx, [who], "hours")
    store.record_projection(db, who, days.last, tzdata_version(), ctx.now)
    return Projection(added=len(added), removed=len(removed))


def _project_leave(db: Session, consultant_user_id: UUID, spans: list[Span], ledger: store.Ledger) -> bool:
    """Replace the leave blocks; return whether any was removed."""
    blocks = ledger.blocks.items()
    existing = {(one.start, one.end): row for row, one in blocks if one.source == store.LEAVE_SOURCE}
    removed = [row for span, row in existing.items() if span not in spans]
    added = [span for span in spans if span not in existing]
    store.update_leave_blocks(db, consultant_user_id, removed, added)
    return bool(removed)


def extend(db: Session, ctx: Context, consultant_user_id: UUID) -> Projection:
    """Lock a consultant, and project their hours up to today's horizon.

    Windows that were projected with other time zones move, while sessions keep their instant: each session
    that is uncovered by that is reported once.
    """
    consultant = lock_consultant(db, consultant_user_id)
    if consultant is None:
        return Projection(0, 0)
    version = store.projected_with(db, consultant_user_id)
    if version in {None, tzdata_version()}:
        return project(db, ctx, consultant)
    before = {one.session_id for one in _uncovered_of(db, ctx, consultant)}
    projection = project(db, ctx, consultant)
    uncovered = {one.session_id: one.reason for one in _uncovered_of(db, ctx, consultant)}
    for session in store.scheduled_sessions(db, [one for one in uncovered if one not in before]):
        after = {"revision": session.revision, "tzdata_version": tzdata_version()}
        reason = uncovered[session.id]
        outbox.record_event(db, ctx, EventType.SESSION_UNCOVERED, session=session, after=after, reason=reason)
    return projection


def consultants_to_extend(db: Session) -> list[UUID]:
    """The consultants who have declared hours or leave."""
    return store.consultants_with_hours(db)


def consultants_to_correct(db: Session) -> list[UUID]:
    """The consultants whose windows were projected with an older time zone database."""
    return store.consultants_projected_before(db, tzdata_version())
