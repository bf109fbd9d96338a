"""What a change of hours, leave, zone or region would do: the projection's own functions, writing nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.contracts import (
    FieldError,
    PreviewAvailability,
    PreviewOutcome,
    TimeSpan,
    UncoveredSession,
)
from booking_tasks.hours import store
from booking_tasks.hours.coverage import Offer, starts, uncovered
from booking_tasks.hours.declared import fault_of, plan_of
from booking_tasks.hours.public_holidays import is_known
from booking_tasks.hours.rules import Leave, Plan, Window, apart, clipped, leave_spans, merged
from booking_tasks.hours.service import Stretch, completed, stored_plan, wanted_windows
from booking_tasks.models import Consultant, ServiceType
from booking_tasks.occasion import Occasion


def preview_availability(db: Session, occasion: Occasion, query: PreviewAvailability) -> PreviewOutcome:
    """What would be added, removed and orphaned, and which starts there would be."""
    consultant = store.consultant(db, query.consultant_user_id)
    kind = store.service_type(db, query.service_type_id) if query.service_type_id else None
    refused = _refused(db, occasion, query, consultant, kind)
    if refused is not None or consultant is None:
        return refused or PreviewOutcome(result="refused", code="unknown_consultant")
    ledger = _Ledger.of(db, occasion, consultant)
    now, then = stored_plan(db, occasion, consultant), _changed_plan(db, occasion, consultant, query)
    windows = ledger.windows_under(then, occasion)
    away = [Window(*span) for span in leave_spans(then, occasion.now)]
    before = clipped(apart(merged(ledger.windows), ledger.away), since=occasion.now)
    after = clipped(apart(merged(windows), away), since=occasion.now)
    added, removed = apart(after, before), apart(before, after)
    offered = starts(windows, away, _offer(kind), occasion.now) if kind else iter(())
    return PreviewOutcome(
        result="done",
        added_count=len(added),
        removed_count=len(removed),
        added=_spans(added, query.limit),
        removed=_spans(removed, query.limit),
        orphaned=ledger.orphaned(now, then, windows, away),
        slots=tuple(TimeSpan(start=start, end=end) for start, end in islice(offered, query.limit)),
    )


def _spans(found: Iterable[Window], limit: int) -> tuple[TimeSpan, ...]:
    return tuple(TimeSpan(start=one.start, end=one.end) for one in islice(found, limit))


def _refused(
    db: Session,
    occasion: Occasion,
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


def _changed_plan(
    db: Session, occasion: Occasion, consultant: Consultant, query: PreviewAvailability
) -> Plan:
    leaves = store.leaves(db, consultant.consultant_user_id)
    kept = [one for leave_id, one in leaves.items() if leave_id not in query.removed_leave_ids]
    more = [Leave(one.start, one.end) for one in query.added_leave]
    hours = query.hours or store.declared_hours(db, consultant.consultant_user_id)
    plan = plan_of(query.time_zone or consultant.time_zone, hours)
    region = query.holiday_region or consultant.holiday_region
    return completed(plan, occasion, region, (*kept, *more))


def _offer(kind: ServiceType) -> Offer:
    return Offer(
        duration=timedelta(minutes=kind.default_duration_minutes),
        step=timedelta(minutes=kind.slot_step_minutes),
        buffer_before=timedelta(minutes=kind.buffer_before_minutes),
        buffer_after=timedelta(minutes=kind.buffer_after_minutes),
    )


@dataclass(frozen=True)
class _Ledger:
    """One consultant's ledger as it stands: rows from yesterday on, sessions from now on."""

    rules: Sequence[Window]
    others: Sequence[Window]
    blocks: Sequence[store.Block]
    sessions: Sequence[store.Agreed]

    @staticmethod
    def of(db: Session, occasion: Occasion, consultant: Consultant) -> _Ledger:
        who: UUID = consultant.consultant_user_id
        since = occasion.now - timedelta(days=4)
        return _Ledger(
            rules=list(store.rule_windows(db, who, since)),
            others=store.other_windows(db, who, since),
            blocks=list(store.blocks(db, who, since).values()),
            sessions=store.sessions_ahead(db, who, occasion.now),
        )

    @property
    def windows(self) -> list[Window]:
        return [*self.rules, *self.others]

    @property
    def away(self) -> list[Window]:
        return [Window(one.start, one.end) for one in self.blocks if one.source == store.LEAVE_SOURCE]

    def windows_under(self, plan: Plan, occasion: Occasion) -> list[Window]:
        """The windows that a projection of this plan would leave behind."""
        stretch = Stretch.of(plan, occasion)
        reaching = [one for one in self.rules if one.end >= stretch.since]
        others = [one for one in self.others if one.end > stretch.since]
        return [*wanted_windows(plan, stretch, reaching, others), *others]

    def orphaned(
        self, now: Plan, then: Plan, windows: Sequence[Window], away: Sequence[Window]
    ) -> tuple[UncoveredSession, ...]:
        """The sessions that are covered as things stand, and would not be."""
        lost = {one.session_id for one in uncovered(self.sessions, self.windows, self.blocks, now)}
        blocks = [one for one in self.blocks if one.source != store.LEAVE_SOURCE]
        blocks += [store.Block(one.start, one.end, store.LEAVE_SOURCE) for one in away]
        found = uncovered(self.sessions, windows, blocks, then)
        return tuple(one for one in found if one.session_id not in lost)
