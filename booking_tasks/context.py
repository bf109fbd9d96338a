"""The context of a use case: its time, who acts, and the policies of the deployment.

The edge makes it once and passes it down; services and rules read no clock and no settings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from booking_tasks.enums import Term


@dataclass(frozen=True)
class Weights:
    """The weight of each term of the assignment score; terms are between 0 and 1.

    A weight is therefore the most that its term adds. The defaults rank the terms strictly: one step of a
    term is more than all terms below it together. Preference is first, then priority (one step is a quarter),
    then fairness (the second in turn has a half); the other terms decide between equals.
    """

    preference: float = 100.0
    priority: float = 80.0
    fairness: float = 12.0
    earliest: float = 2.0
    specialization: float = 1.5
    continuity: float = 1.0
    local_time: float = 1.0

    def with_changes(self, changes: Mapping[str, float]) -> Weights:
        """Return these weights with some of them changed. Raises ValueError for an unknown term."""
        unknown = sorted(set(changes) - set(Term))
        if unknown:
            raise ValueError(f"there is no term {unknown[0]}; the terms are {', '.join(Term)}")
        return replace(self, **{term: float(weight) for term, weight in changes.items()})

    def by_term(self) -> dict[str, float]:
        """Return the weight of each term."""
        return {term: getattr(self, term) for term in Term}

    @property
    def problem(self) -> str | None:
        """Why these weights cannot rank candidates, or None."""
        weights = self.by_term()
        wrong = [term for term, weight in weights.items() if weight < 0 or not math.isfinite(weight)]
        if wrong:
            return f"{wrong[0]} must be zero or more"
        if not any(weights.values()):
            return "at least one weight must be above zero, or nothing would tell candidates apart"
        return None


@dataclass(frozen=True)
class Policies:
    """The settings of the deployment that use cases need. All durations are elapsed time."""

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
    link_alert: timedelta = timedelta(minutes=15)
    uid_domain: str = "booking.example.org"
    mail_address: str = "booking@example.org"
    reply_unauthenticated: Literal["refuse", "accept"] = "refuse"
    calendar_interval: timedelta = timedelta(minutes=15)
    calendar_stale_after: timedelta = timedelta(hours=24)
    calendar_outage: Literal["open", "closed"] = "open"
    calendar_unreadable: Literal["open", "closed"] = "open"
    calendar_tentative_busy: bool = True
    calendar_private_hosts: tuple[str, ...] = ()
    absence_grace: timedelta = timedelta(minutes=5)
    absence_answer: timedelta = timedelta(hours=24)
    default_time_zone: str = "UTC"
    default_language: str = "en"


@dataclass(frozen=True)
class Context:
    """The context of one use case: `actor` is the caller's claim, `entry_point` a queue, sweep or page."""

    now: datetime
    actor: str
    entry_point: str
    message_id: UUID | None = None
    policies: Policies = Policies()

    def on_behalf_of(self, actor: str) -> Context:
        """Return the same context with another actor."""
        return replace(self, actor=actor)
