"""Declaring hours and leave, and making windows of them: all under one consultant's lock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
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
from booking_tasks.hours import store
from booking_tasks.hours.coverage import uncovered
from booking_tasks.hours.declared import fault_of, plan_of
from booking_tasks.hours.local_times import Span, instant_of
from booking_tasks.hours.public_holidays import public_holidays
from booking_tasks.hours.rules import (
    LONGEST,
    Leave,
    Plan,
    Window,
    apart,
    clipped,
    leave_spans,
    merged,
    windows,
)
from booking_tasks.kit.time_zones import tzdata_version
from booking_tasks.models import Consultant
from booking_tasks.outbox.capacity_released import record_capacity_released

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Projection:
    """How many windows a projection added and removed."""

    added: int
    removed: int


def set_availability(db: Session, ctx: Context, command: SetAvailability) -> AvailabilityOutcome:
    """Replace a consultant's hours and project them; sessions no longer covered are listed."""
    consultant = lock_consultant(db, command.consultant_user_id)
    if consultant is None:
        return AvailabilityOutcome(result="refused", code="unknown_consultant")
    fault = fault_of(command)
    if fault is not None:
        return AvailabilityOutcome(
            result="refused", code=fault.code, message=fault.problem, errors=fault.errors
        )
    store.replace_declared_hours(db, consultant.consultant_user_id, command)
    return _projected(db, ctx, consultant)


def add_leave(db: Session, ctx: Context, command: AddLeave) -> AvailabilityOutcome:
    """Take a consultant's time away; sessions in it are listed."""
    consultant = lock_consultant(db, command.consultant_user_id)
    if consultant is None:
        return AvailabilityOutcome(result="refused", code="unknown_consultant")
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
    store.add_leave(db, id=command.leave_id, **values)
    outcome = _projected(db, ctx, consultant)
    if not outcome.uncovered:
        return outcome
    how = "plan_absence with this leave_id shows what can become of the sessions that are not covered"
    return outcome.model_copy(update={"message": how})


def _refused_leave() -> AvailabilityOutcome:
    problem = "names a leave with other content; remove that one first, or choose a new id"
    return AvailabilityOutcome(result="refused", code="leave_exists", message=f"leave_id {problem}")


def remove_leave(db: Session, ctx: Context, command: RemoveLeave) -> AvailabilityOutcome:
    """Give the time of a leave back."""
    consultant = lock_consultant(db, command.consultant_user_id)
    if consultant is None:
        return AvailabilityOutcome(result="refused", code="unknown_consultant")
    leave = store.leave(db, command.leave_id)
    if leave is None or leave.consultant_user_id != command.consultant_user_id:
        return AvailabilityOutcome(result="refused", code="unknown_leave")
    store.remove_leave(db, leave)
    return _projected(db, ctx, consultant)


def _projected(db: Session, ctx: Context, consultant: Consultant) -> AvailabilityOutcome:
    projected = project(db, ctx, consultant)
    found = _uncovered(db, ctx, consultant)
    return AvailabilityOutcome(
        result="done",
        windows_added=projected.added,
        windows_removed=projected.removed,
        uncovered_session_ids=tuple(one.session_id for one in found),
        uncovered=tuple(found),
    )


def uncovered_sessions(db: Session, ctx: Context, consultant_user_id: UUID) -> list[UncoveredSession] | None:
    """The consultant's sessions ahead that hours, leave or an outside calendar do not cover, and why.

    None when nobody knows the consultant.
    """
    consultant = store.consultant(db, consultant_user_id)
    return None if consultant is None else _uncovered(db, ctx, consultant)


def consultants_with_sessions_ahead(db: Session, ctx: Context) -> list[UUID]:
    """Everyone who has something agreed."""
    return store.consultants_with_sessions_ahead(db, ctx.now)


def _uncovered(db: Session, ctx: Context, consultant: Consultant) -> list[UncoveredSession]:
    who, now = consultant.consultant_user_id, ctx.now
    sessions = store.sessions_ahead(db, who, now)
    if not sessions:
        return []
    ledger = store.ledger(db, who, now)
    plan = stored_plan(db, ctx, consultant)
    return uncovered(sessions, ledger.windows, list(ledger.blocks.values()), plan)


def stored_plan(db: Session, ctx: Context, consultant: Consultant) -> Plan:
    """All that decides a consultant's windows from here on, as it is stored."""
    leaves = store.leaves(db, consultant.consultant_user_id)
    hours = store.declared_hours(db, consultant.consultant_user_id)
    plan = plan_of(consultant.time_zone, hours)
    return completed(plan, ctx, consultant.holiday_region, tuple(leaves.values()))


def completed(plan: Plan, ctx: Context, region: str | None, leaves: tuple[Leave, ...]) -> Plan:
    """The plan with the public holidays of its horizon, and with leaves."""
    stretch = Stretch.of(plan, ctx)
    return replace(plan, holidays=public_holidays(region, stretch.first, stretch.last), leaves=leaves)


@dataclass(frozen=True)
class Stretch:
    """The local days windows are made for. What lies before the instant `since` is history."""

    first: date
    last: date
    since: datetime

    @staticmethod
    def of(plan: Plan, ctx: Context) -> Stretch:
        """From yesterday to the horizon, and the days before from which a window may reach in."""
        today = ctx.now.astimezone(plan.zone).date()
        since = instant_of(datetime.combine(today - _DAY, time()), plan.zone)
        return Stretch(today - 2 * _DAY - LONGEST, today + ctx.policies.horizon, since)


def wanted_windows(plan: Plan, stretch: Stretch, ledger: store.Ledger) -> list[Window]:
    """The windows that ought to be there from `since` on; one that began before keeps its beginning.

    Nothing is put on top of those that somebody else declared.
    """
    made = clipped(windows(plan, stretch.first, stretch.last), since=stretch.since)
    history = (one for one in ledger.rules if one.start < stretch.since <= one.end)
    return merged([*clipped(history, until=stretch.since), *apart(made, ledger.others)])


def project(db: Session, ctx: Context, consultant: Consultant) -> Projection:
    """Make the windows and leave blocks of the horizon, touching only what differs.

    The consultant must be locked. Facts are never touched.
    """
    who, plan = consultant.consultant_user_id, stored_plan(db, ctx, consultant)
    stretch = Stretch.of(plan, ctx)
    ledger = store.ledger(db, who, stretch.since)
    wanted = dict.fromkeys(wanted_windows(plan, stretch, ledger))
    removed = [row for window, row in ledger.rules.items() if window not in wanted]
    added = [window for window in wanted if window not in ledger.rules]
    store.change_windows(db, who, removed, added)
    unblocked = _project_leave(db, who, leave_spans(plan, stretch.since), ledger)
    if added or unblocked:
        record_capacity_released(db, ctx, [who], "hours")
    store.note_projection(db, who, stretch.last, tzdata_version(), ctx.now)
    return Projection(added=len(added), removed=len(removed))


def _project_leave(db: Session, consultant_user_id: UUID, wanted: list[Span], ledger: store.Ledger) -> bool:
    """Make the leave blocks these; whether any was taken away."""
    blocks = ledger.blocks.items()
    existing = {(one.start, one.end): row for row, one in blocks if one.source == store.LEAVE_SOURCE}
    removed = [row for span, row in existing.items() if span not in wanted]
    added = [span for span in wanted if span not in existing]
    store.change_leave_blocks(db, consultant_user_id, removed, added)
    return bool(removed)


def extend(db: Session, ctx: Context, consultant_user_id: UUID) -> Projection:
    """Project one consultant's hours to today's horizon."""
    consultant = lock_consultant(db, consultant_user_id)
    if consultant is None:
        return Projection(0, 0)
    return project(db, ctx, consultant)


def consultants_to_extend(db: Session) -> list[UUID]:
    """Everyone whose windows come from rules."""
    return store.consultants_with_hours(db)


def consultants_to_correct(db: Session) -> list[UUID]:
    """Those whose windows were made with older time zones than this release has."""
    return store.consultants_projected_before(db, tzdata_version())
