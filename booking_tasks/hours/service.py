"""Declaring hours and making windows of them: all under one consultant's lock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from booking_tasks.availability.store import lock_consultant
from booking_tasks.contracts import AvailabilityOutcome, FieldError, SetAvailability
from booking_tasks.hours import store
from booking_tasks.hours.rules import HoursRule, apart, first_overlap, instant_of, windows
from booking_tasks.models import Consultant
from booking_tasks.occasion import Occasion


@dataclass(frozen=True)
class Projection:
    """How many windows a projection added and removed."""

    added: int
    removed: int


def set_availability(db: Session, occasion: Occasion, command: SetAvailability) -> AvailabilityOutcome:
    """Replace a consultant's hours and project them; sessions no longer covered are listed."""
    consultant = lock_consultant(db, command.consultant_user_id)
    if consultant is None:
        return AvailabilityOutcome(result="refused", code="unknown_consultant")
    rules = [
        *(HoursRule(start=one.start, end=one.end, weekday=one.weekday) for one in command.weekly),
        *(HoursRule(start=one.start, end=one.end, day=one.day) for one in command.single),
    ]
    clash = first_overlap(rules)
    if clash is not None:
        return _overlapping(*clash)
    store.replace_hours_rules(db, consultant.consultant_user_id, rules)
    projected = project(db, occasion, consultant)
    return AvailabilityOutcome(
        result="done",
        windows_added=projected.added,
        windows_removed=projected.removed,
        uncovered_session_ids=tuple(
            store.uncovered_sessions(db, consultant.consultant_user_id, occasion.now)
        ),
    )


def _overlapping(one: HoursRule, other: HoursRule) -> AvailabilityOutcome:
    day = one.day.isoformat() if one.day else f"weekday {one.weekday}"
    spans = " and ".join(f"{rule.start:%H:%M}-{rule.end:%H:%M}" for rule in (one, other))
    problem = f"{spans} overlap on {day}; join them"
    field = "single" if one.day else "weekly"
    return AvailabilityOutcome(
        result="refused",
        code="overlapping_hours",
        message=problem,
        errors=(FieldError(field=field, problem=problem),),
    )


def project(db: Session, occasion: Occasion, consultant: Consultant) -> Projection:
    """Make the windows of the horizon from the rules, touching only what differs.

    The consultant must be locked. Windows that began before yesterday are history, and those that
    somebody else declared are theirs: both stay, and nothing is put on top of them.
    """
    zone = ZoneInfo(consultant.time_zone)
    today = occasion.now.astimezone(zone).date()
    first, last = today - timedelta(days=1), today + occasion.policies.horizon
    rules = store.hours_rules(db, consultant.consultant_user_id)
    since = instant_of(datetime.combine(first, datetime.min.time()), zone)
    others = store.other_windows(db, consultant.consultant_user_id, since)
    wanted = dict.fromkeys(apart(windows(rules, zone, first, last), others))
    existing = store.rule_windows(db, consultant.consultant_user_id, since)
    removed = [row for window, row in existing.items() if window not in wanted]
    added = [window for window in wanted if window not in existing]
    store.change_windows(db, consultant.consultant_user_id, removed, added)
    return Projection(added=len(added), removed=len(removed))


def extend(db: Session, occasion: Occasion, consultant_user_id: UUID) -> Projection:
    """Project one consultant's hours to today's horizon."""
    consultant = lock_consultant(db, consultant_user_id)
    if consultant is None:
        return Projection(0, 0)
    return project(db, occasion, consultant)


def consultants_to_extend(db: Session) -> list[UUID]:
    """Everyone whose windows come from rules."""
    return store.consultants_with_rules(db)
