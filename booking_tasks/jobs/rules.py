"""The rules of running jobs: leases, fences, when to try again, and which jobs an operator selects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from booking_tasks.enums import JobState
from booking_tasks.outbox.job_args import JobArgs, JobType
from booking_tasks.outbox.jobs import OnUnknownResult

ArgsT_co = TypeVar("ArgsT_co", bound=JobArgs, covariant=True)


@dataclass(frozen=True)
class LeasedJob(Generic[ArgsT_co]):
    """A job that this worker holds. `token` is the fence: every later write must name it.

    `payload` is what an earlier try sent when its result is not known: a repeat sends exactly that.
    """

    id: UUID
    key: str
    args: ArgsT_co
    due_at: datetime
    attempts: int
    send_attempts: int
    token: UUID
    payload: bytes | None

    @property
    def job_type(self) -> JobType:
        return self.args.job_type


def backoff(attempt: int, base: timedelta, cap: timedelta, random: Callable[[], float]) -> timedelta:
    """How long to wait after a failed attempt (1 is the first): exponential with full jitter.

    Never less than half the base, so that a broken target is not hammered.
    """
    ceiling: timedelta = min(cap, base * (1 << min(attempt - 1, 20)))
    return max(base / 2, ceiling * random())


def may_repeat(policy: OnUnknownResult, send_attempts: int) -> bool:
    """Whether an effect with an unknown result, sent `send_attempts` times, is repeated without a person."""
    return policy == OnUnknownResult.REPEAT or (policy == OnUnknownResult.REPEAT_ONCE and send_attempts < 2)


#: States that wait for a person to decide.
UNDECIDED = (JobState.DEAD, JobState.UNCERTAIN)


@dataclass(frozen=True)
class JobFilter:
    """Which jobs an operator selects. A field that is None does not restrict.

    `since` is real time: when the job finished, or was inserted when it has not. `about` is a request, a
    session or the job's own subject; of a request it also selects what its session and events led to.
    """

    job_id: UUID | None = None
    job_type: str | None = None
    state: str | None = None
    since: datetime | None = None
    about: UUID | None = None

    @property
    def selects_all(self) -> bool:
        return self == JobFilter()
