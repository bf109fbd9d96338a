"""The two state machines, as data. The database refuses unknown words; this refuses wrong steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from booking_tasks.kit.errors import IllegalTransitionError

VERDICTS = frozenset({"completed", "no_show_user", "no_show_consultant", "attendance_unknown"})
#: Still to be held, or being held.
OPEN = frozenset({"scheduled", "in_progress"})
CANCELLED = frozenset({"cancelled_by_user", "cancelled_by_consultant"})

#: A session. A verdict may be corrected into another; `cancelled_*` is final.
SESSION_STEPS: Mapping[str, frozenset[str]] = {
    "scheduled": CANCELLED | {"in_progress"},
    "in_progress": VERDICTS,
    **{verdict: VERDICTS - {verdict} for verdict in sorted(VERDICTS)},
    **{status: frozenset() for status in sorted(CANCELLED)},
}

#: A request. `completed` means its session ended, however; the session says how.
REQUEST_STEPS: Mapping[str, frozenset[str]] = {
    "pending": frozenset(
        {"pending_assignment", "pending_confirmation", "scheduled", "cancelled", "rejected"}
    ),
    "pending_assignment": frozenset({"pending_confirmation", "scheduled", "cancelled", "rejected"}),
    "pending_confirmation": frozenset({"pending_assignment", "scheduled", "cancelled", "rejected"}),
    "scheduled": frozenset({"completed", "cancelled"}),
    "cancelled": frozenset(),
    "completed": frozenset(),
    "rejected": frozenset(),
}


def check_step(steps: Mapping[str, frozenset[str]], before: str, after: str) -> None:
    """Raise IllegalTransitionError unless the table allows the step."""
    if after not in steps[before]:
        raise IllegalTransitionError(f"no step leads from {before} to {after}")


@dataclass(frozen=True)
class Asked:
    """A question that its consultant accepted: the event's id, and the instant at which it was asked."""

    id: UUID
    at: datetime


@dataclass(frozen=True)
class NewRequest:
    """A request that is written together with its session: nobody ever waited for it."""

    status: ClassVar[str] = "pending"

    id: UUID
    requester_user_id: UUID
    consultation_service_type_id: UUID
    company_id: UUID | None
    preferred_consultant_user_id: UUID
    preferred_start_time: datetime
    request_details: str | None
    series_id: UUID
