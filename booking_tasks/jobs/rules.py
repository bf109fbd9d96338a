"""The rules of running jobs: leases, fences, when to try again, and which jobs an operator selects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from booking_tasks.outbox.jobs import OnUnknownResult


@dataclass(frozen=True)
class LeasedJob:
    """A job this worker holds. `token` is the fence: every later write must name it.

    `effect` is what an earlier try sent whose outcome is not known: a repeat sends just that.
    """

    id: UUID
    key: str
    job_type: str
    subject_id: UUID
    revision: int
    recipient: UUID | None
    detail: str
    due_at: datetime
    attempts: int
    send_attempts: int
    token: UUID
    payload: bytes | None


def backoff(attempt: int, base: timedelta, cap: timedelta, random: Callable[[], float]) -> timedelta:
    """How long to wait after the given failed attempt (1 is the first): exponential with full jitter.

    Never less than half the base, so that a broken target is not hammered.
    """
    ceiling: timedelta = min(cap, base * (1 << min(attempt - 1, 20)))
    return max(base / 2, ceiling * random())


def may_repeat(lost_outcome: OnUnknownResult, send_attempts: int) -> bool:
    """Whether an effect with an unknown outcome, tried `send_attempts` times, is tried again by itself."""
    return lost_outcome == "repeat" or (lost_outcome == "repeat_once" and send_attempts < 2)


#: States that wait for a person to decide.
UNDECIDED = ("dead", "uncertain")


@dataclass(frozen=True)
class JobFilter:
    """Which jobs an operator means. What is None does not matter.

    `since` is real time: when the job was settled, or written when it is not. `about` is a request, a
    session or the job's own subject; of a request it also means what its session and events led to.
    """

    job_id: UUID | None = None
    job_type: str | None = None
    state: str | None = None
    since: datetime | None = None
    about: UUID | None = None

    @property
    def selects_all(self) -> bool:
        return self == JobFilter()
