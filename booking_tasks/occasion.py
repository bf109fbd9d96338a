"""What a use case is told about the moment it runs in: when, on whose word, under which policies.

Made once by the task, passed down whole; services and rules read no clock and no settings.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from booking_tasks.weights import Weights


@dataclass(frozen=True)
class Policies:
    """The deployment's choices that use cases need. All durations are elapsed time."""

    assignment_deadline: timedelta = timedelta(hours=48)
    assignment_batch_time: timedelta = timedelta(seconds=10)
    confirmation_deadline: timedelta = timedelta(hours=24)
    offer_time: timedelta = timedelta(minutes=30)
    horizon: timedelta = timedelta(days=90)
    assignment_weights: Weights = field(default_factory=Weights)
    assignment_no_show: Literal["returns", "counts"] = "returns"
    reminder_offsets: tuple[timedelta, ...] = (timedelta(hours=24), timedelta(hours=1))
    attendance_grace: timedelta = timedelta(minutes=10)
    attendance_minimum: timedelta = timedelta(minutes=1)
    verdict_delay: timedelta = timedelta(minutes=15)
    uid_domain: str = "booking.example.org"
    calendar_interval: timedelta = timedelta(minutes=15)
    calendar_stale_after: timedelta = timedelta(hours=24)
    calendar_outage: Literal["open", "closed"] = "open"
    calendar_tentative_busy: bool = True
    calendar_private_hosts: tuple[str, ...] = ()
    absence_grace: timedelta = timedelta(minutes=5)
    absence_answer: timedelta = timedelta(hours=24)
    default_time_zone: str = "UTC"
    default_language: str = "en"


@dataclass(frozen=True)
class Occasion:
    """`actor` is who asks, as claimed; `door` the queue or sweep it came through."""

    now: datetime
    actor: str
    door: str
    message_id: UUID | None = None
    policies: Policies = Policies()

    def by(self, actor: str) -> Occasion:
        """The same moment on another's word."""
        return replace(self, actor=actor)
