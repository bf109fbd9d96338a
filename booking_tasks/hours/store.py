"""The rows of declared hours and leave, and of the windows and blocks projected from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, select, text, union, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.contracts import Hours
from booking_tasks.enums import SessionStatus, SlotStatus
from booking_tasks.hours.coverage import StartRules
from booking_tasks.hours.rules import Leave, Window
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.instants import Span
from booking_tasks.models import (
    AvailabilityPlan,
    AvailabilityProjection,
    AvailabilityRule,
    AvailabilitySlot,
    CalendarFeed,
    Consultant,
    ConsultantLeave,
    ScheduledSession,
    ServiceType,
)

RULES_SOURCE = "rules"
LEAVE_SOURCE = "leave"

#: The parts of declared hours that are stored as rows of `availability_rules`.
_ROWS = {"weekly", "single"}


def consultant(db: Session, consultant_user_id: UUID) -> Consultant | None:
    """A consultant without a lock, or None."""
    return db.get(Consultant, consultant_user_id)


def service_type(db: Session, service_type_id: UUID) -> ServiceType | None:
    """A service type, active or not, or None."""
    return db.get(ServiceType, service_type_id)


# -- declarations ---------------------------------------------------------------------------------------


def declared_hours(db: Session, consultant_user_id: UUID) -> Hours:
    """Everything that a consultant declared about their hours."""
    rows = db.execute(
        select(
            AvailabilityRule.weekday,
            AvailabilityRule.local_date,
            AvailabilityRule.start_local,
            AvailabilityRule.end_local,
        ).where(AvailabilityRule.consultant_user_id == consultant_user_id)
    ).all()
    plan = db.execute(
        select(AvailabilityPlan.plan).where(AvailabilityPlan.consultant_user_id == consultant_user_id)
    ).scalar_one_or_none()
    weekly = [{"weekday": weekday, "start": start, "end": end} for weekday, _, start, end in rows if weekday]
    single = [{"day": day, "start": start, "end": end} for _, day, start, end in rows if day]
    return Hours.model_validate({**(plan or {}), "weekly": weekly, "single": single})


def make_calendars_due(db: Session, consultant_user_id: UUID) -> None:
    """Make a consultant's outside calendars due; whoever reads one at this moment stores nothing."""
    db.execute(
        update(CalendarFeed)
        .where(CalendarFeed.consultant_user_id == consultant_user_id)
        .values(due_at=func.clock_timestamp(), lease_token=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )


def replace_declared_hours(db: Session, consultant_user_id: UUID, hours: Hours) -> None:
    """Replace a consultant's declared hours."""
    db.execute(delete(AvailabilityRule).where(AvailabilityRule.consultant_user_id == consultant_user_id))
    db.execute(delete(AvailabilityPlan).where(AvailabilityPlan.consultant_user_id == consultant_user_id))
    rules = [
        *({"weekday": one.weekday, "start_local": one.start, "end_local": one.end} for one in hours.weekly),
        *({"local_date": one.day, "start_local": one.start, "end_local": one.end} for one in hours.single),
    ]
    db.add_all(AvailabilityRule(consultant_user_id=consultant_user_id, **one) for one in rules)
    rest = {name for name in Hours.model_fields if name not in _ROWS}
    plan = hours.model_dump(mode="json", include=rest, exclude_defaults=True)
    if plan:
        db.execute(insert(AvailabilityPlan).values(consultant_user_id=consultant_user_id, plan=plan))
    db.flush()


def leaves(db: Session, consultant_user_id: UUID) -> dict[UUID, Leave]:
    """A consultant's leaves by id, in order of start."""
    rows = db.execute(
        select(ConsultantLeave.id, ConsultantLeave.start_local, ConsultantLeave.end_local)
        .where(ConsultantLeave.consultant_user_id == consultant_user_id)
        .order_by(ConsultantLeave.start_local, ConsultantLeave.id)
    )
    return {one: Leave(start, end) for one, start, end in rows}


def leave(db: Session, leave_id: UUID) -> ConsultantLeave | None:
    """A leave of any consultant, or None."""
    return db.get(ConsultantLeave, leave_id)


def insert_leave(db: Session, **values: Any) -> None:
    """Store a leave."""
    db.add(ConsultantLeave(**values))
    db.flush()


def delete_leave(db: Session, row: ConsultantLeave) -> None:
    """Delete a leave with its reason."""
    db.delete(row)
    db.flush()


# -- projection -------------------------------------------------------------------------------------------


class Block(NamedTuple):
    """Blocked time with its source."""

    start: datetime
    end: datetime
    source: str


@dataclass(frozen=True)
class Ledger:
    """One consultant's windows and blocks; `rules` (projected windows) and `blocks` with their row ids."""

    rules: dict[Window, UUID] = field(default_factory=dict)
    others: list[Window] = field(default_factory=list)
    blocks: dict[UUID, Block] = field(default_factory=dict)

    @property
    def windows(self) -> list[Window]:
        """All windows, from every source."""
        return [*self.rules, *self.others]


def ledger(db: Session, consultant_user_id: UUID, since: datetime) -> Ledger:
    """The windows and blocks that end at or after `since`, in order of start."""
    rows = db.execute(
        select(
            AvailabilitySlot.id,
            AvailabilitySlot.status,
            AvailabilitySlot.start_time,
            AvailabilitySlot.end_time,
            AvailabilitySlot.recurrence_rule,
            AvailabilitySlot.source,
            AvailabilitySlot.counted_from,
        )
        .where(
            AvailabilitySlot.consultant_user_id == consultant_user_id,
            AvailabilitySlot.status.in_((SlotStatus.AVAILABLE, SlotStatus.UNAVAILABLE)),
            AvailabilitySlot.end_time >= since,
        )
        .order_by(AvailabilitySlot.start_time, AvailabilitySlot.id)
    )
    found = Ledger()
    for one, status, start, end, rule, source, counted_from in rows:
        if status == SlotStatus.UNAVAILABLE:
            found.blocks[one] = Block(start, end, source)
        elif source == RULES_SOURCE:
            found.rules[Window(start, end, rule, counted_from)] = one
        else:
            found.others.append(Window(start, end, counted_from=counted_from))
    return found


def update_windows(
    db: Session, consultant_user_id: UUID, removed: Sequence[UUID], added: Sequence[Window]
) -> None:
    """Delete and insert windows; rows that stay the same are not written."""
    _delete_slots(db, removed)
    _insert_slots(
        db,
        consultant_user_id,
        {"status": SlotStatus.AVAILABLE, "source": RULES_SOURCE},
        [
            {
                "start_time": one.start,
                "end_time": one.end,
                "is_recurring": one.recurrence_rule is not None,
                "recurrence_rule": one.recurrence_rule,
                "counted_from": one.counted_from,
            }
            for one in added
        ],
    )


def update_leave_blocks(
    db: Session, consultant_user_id: UUID, removed: Sequence[UUID], added: Sequence[Span]
) -> None:
    """Delete and insert leave blocks; rows that stay the same are not written."""
    _delete_slots(db, removed)
    values = {"status": SlotStatus.UNAVAILABLE, "source": LEAVE_SOURCE}
    _insert_slots(
        db, consultant_user_id, values, [{"start_time": start, "end_time": end} for start, end in added]
    )


def _delete_slots(db: Session, ids: Sequence[UUID]) -> None:
    if ids:
        gone = delete(AvailabilitySlot).where(AvailabilitySlot.id.in_(ids))
        db.execute(gone.execution_options(synchronize_session="fetch"))


def _insert_slots(
    db: Session, consultant_user_id: UUID, values: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    if rows:
        fixed = {**values, "consultant_user_id": consultant_user_id}
        db.execute(insert(AvailabilitySlot), [{"id": uuid7(), **fixed, **row} for row in rows])


def record_projection(
    db: Session, consultant_user_id: UUID, until: date, tzdata_version: str, now: datetime
) -> None:
    """Record what the windows were projected with; writes only when that changed."""
    known = db.execute(
        select(AvailabilityProjection.projected_until, AvailabilityProjection.tzdata_version).where(
            AvailabilityProjection.consultant_user_id == consultant_user_id
        )
    ).first()
    if known is not None and tuple(known) == (until, tzdata_version):
        return
    values = {"projected_until": until, "tzdata_version": tzdata_version, "changed_at": now}
    db.execute(
        insert(AvailabilityProjection)
        .values(consultant_user_id=consultant_user_id, **values)
        .on_conflict_do_update(index_elements=["consultant_user_id"], set_=values)
    )


def projected_with(db: Session, consultant_user_id: UUID) -> str | None:
    """The version of the time zones with which the windows were projected; None without a projection."""
    return db.execute(
        select(AvailabilityProjection.tzdata_version).where(
            AvailabilityProjection.consultant_user_id == consultant_user_id
        )
    ).scalar_one_or_none()


def scheduled_sessions(db: Session, ids: Sequence[UUID]) -> Sequence[ScheduledSession]:
    """The sessions of these ids that are still scheduled, for reading."""
    found = select(ScheduledSession).where(
        ScheduledSession.id.in_(ids), ScheduledSession.status == SessionStatus.SCHEDULED
    )
    return db.execute(found.order_by(ScheduledSession.scheduled_start_time)).scalars().all()


def consultants_with_hours(db: Session) -> list[UUID]:
    """The consultants who ever declared hours or leave, in the order of their ids."""
    tables = AvailabilityRule, AvailabilityPlan, ConsultantLeave, AvailabilityProjection
    found = union(*(select(one.consultant_user_id) for one in tables)).subquery()
    return list(db.execute(select(found.c.consultant_user_id).order_by(found.c.consultant_user_id)).scalars())


def consultants_projected_before(db: Session, tzdata_version: str) -> list[UUID]:
    """The consultants whose windows were projected with older time zones, in the order of their ids."""
    return list(
        db.execute(
            select(AvailabilityProjection.consultant_user_id)
            .where(AvailabilityProjection.tzdata_version < tzdata_version)
            .order_by(AvailabilityProjection.consultant_user_id)
        ).scalars()
    )


# -- affected sessions --------------------------------------------------------------------------------------


class FutureSession(NamedTuple):
    """A scheduled session that has not begun."""

    id: UUID
    start: datetime
    end: datetime
    service_type_id: UUID
    is_active: bool


def consultants_with_sessions_ahead(db: Session, now: datetime) -> list[UUID]:
    """The consultants with a scheduled session that has not begun, in the order of their ids."""
    who = ScheduledSession.consultant_user_id
    ahead = ScheduledSession.status == SessionStatus.SCHEDULED, ScheduledSession.scheduled_start_time > now
    return list(db.execute(select(who).where(*ahead).distinct().order_by(who)).scalars())


def sessions_ahead(db: Session, consultant_user_id: UUID, now: datetime) -> list[FutureSession]:
    """A consultant's scheduled sessions that have not begun, in order of start."""
    rows = db.execute(
        select(
            ScheduledSession.id,
            ScheduledSession.scheduled_start_time,
            ScheduledSession.scheduled_end_time,
            ServiceType.id,
            ServiceType.is_active,
        )
        .join(ServiceType, ServiceType.id == ScheduledSession.consultation_service_type_id)
        .where(
            ScheduledSession.consultant_user_id == consultant_user_id,
            ScheduledSession.status == SessionStatus.SCHEDULED,
            ScheduledSession.scheduled_start_time > now,
        )
        .order_by(ScheduledSession.scheduled_start_time, ScheduledSession.id)
    )
    return [FutureSession(*row) for row in rows]


def start_rules(
    db: Session, consultant_user_id: UUID, service_type_id: UUID, now: datetime
) -> StartRules | None:
    """The policy by which starts of a service type are offered, or None when none is offered."""
    row = db.execute(
        text(
            "SELECT duration, step, buffer_before, buffer_after, earliest, latest"
            "  FROM booking_policies_v2(ARRAY[CAST(:who AS uuid)], CAST(:service_type AS uuid), :now)"
        ),
        {"who": consultant_user_id, "service_type": service_type_id, "now": now},
    ).one_or_none()
    return None if row is None else StartRules(*row)
