"""What was declared, and the windows made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.hours.rules import HoursRule, Window
from booking_tasks.identity import uuid7
from booking_tasks.models import AvailabilityRule, AvailabilitySlot, ScheduledSession

RULES_SOURCE = "rules"


def hours_rules(db: Session, consultant_user_id: UUID) -> list[HoursRule]:
    """A consultant's declared hours."""
    rows = db.execute(
        select(AvailabilityRule).where(AvailabilityRule.consultant_user_id == consultant_user_id)
    ).scalars()
    return [
        HoursRule(start=row.start_local, end=row.end_local, weekday=row.weekday, day=row.local_date)
        for row in rows
    ]


def replace_hours_rules(db: Session, consultant_user_id: UUID, rules: Iterable[HoursRule]) -> None:
    """Put these hours in the place of the old ones."""
    db.execute(delete(AvailabilityRule).where(AvailabilityRule.consultant_user_id == consultant_user_id))
    db.add_all(
        AvailabilityRule(
            consultant_user_id=consultant_user_id,
            weekday=rule.weekday,
            local_date=rule.day,
            start_local=rule.start,
            end_local=rule.end,
        )
        for rule in rules
    )
    db.flush()


def consultants_with_rules(db: Session) -> list[UUID]:
    """Everyone who declared hours, in id order."""
    return list(
        db.execute(
            select(AvailabilityRule.consultant_user_id)
            .distinct()
            .order_by(AvailabilityRule.consultant_user_id)
        ).scalars()
    )


def rule_windows(db: Session, consultant_user_id: UUID, since: datetime) -> dict[Window, UUID]:
    """The windows made from rules that start at or after `since`, with their row ids."""
    rows = db.execute(
        select(AvailabilitySlot).where(
            AvailabilitySlot.consultant_user_id == consultant_user_id,
            AvailabilitySlot.status == "available",
            AvailabilitySlot.source == RULES_SOURCE,
            AvailabilitySlot.start_time >= since,
        )
    ).scalars()
    return {Window(row.start_time, row.end_time, row.recurrence_rule): row.id for row in rows}


def other_windows(db: Session, consultant_user_id: UUID, since: datetime) -> list[Window]:
    """The windows that reach past `since` and are not those of `rule_windows`, in order of start."""
    rows = db.execute(
        select(AvailabilitySlot.start_time, AvailabilitySlot.end_time)
        .where(
            AvailabilitySlot.consultant_user_id == consultant_user_id,
            AvailabilitySlot.status == "available",
            AvailabilitySlot.end_time > since,
            or_(AvailabilitySlot.source != RULES_SOURCE, AvailabilitySlot.start_time < since),
        )
        .order_by(AvailabilitySlot.start_time)
    )
    return [Window(start, end) for start, end in rows]


def change_windows(
    db: Session, consultant_user_id: UUID, removed: Sequence[UUID], added: Sequence[Window]
) -> None:
    """Touch only the windows that differ."""
    if removed:
        db.execute(delete(AvailabilitySlot).where(AvailabilitySlot.id.in_(removed)))
    if added:
        db.execute(
            insert(AvailabilitySlot),
            [
                {
                    "id": uuid7(),
                    "consultant_user_id": consultant_user_id,
                    "start_time": window.start,
                    "end_time": window.end,
                    "is_recurring": window.recurrence_rule is not None,
                    "recurrence_rule": window.recurrence_rule,
                    "status": "available",
                    "source": RULES_SOURCE,
                }
                for window in added
            ],
        )


def uncovered_sessions(db: Session, consultant_user_id: UUID, now: datetime) -> list[UUID]:
    """Sessions ahead that lie, in part or whole, outside the declared hours, in order of start."""
    rows = db.execute(
        text(
            "SELECT s.id FROM scheduled_sessions s"
            " WHERE s.consultant_user_id = :consultant AND s.status = 'scheduled'"
            "   AND s.scheduled_start_time > :now"
            "   AND NOT coalesce((SELECT range_agg(tstzrange(w.start_time, w.end_time))"
            "                       FROM consultant_availability_slots w"
            "                      WHERE w.consultant_user_id = s.consultant_user_id"
            "                        AND w.status = 'available'"
            "                        AND tstzrange(w.start_time, w.end_time)"
            "                            && tstzrange(s.scheduled_start_time, s.scheduled_end_time)),"
            "                    tstzmultirange())"
            "           @> tstzrange(s.scheduled_start_time, s.scheduled_end_time)"
            " ORDER BY s.scheduled_start_time, s.id"
        ).columns(ScheduledSession.id),
        {"consultant": consultant_user_id, "now": now},
    )
    return list(rows.scalars())
