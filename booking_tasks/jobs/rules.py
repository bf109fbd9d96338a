"""The rules of running jobs: leases, fences, when to try again, and which jobs an operator selects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from booking_tasks.enums import JobState, PutOffReason, Target
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


def shortened(wait: timedelta, now: datetime, base: timedelta, ahead: Iterable[datetime | None]) -> timedelta:
    """A wait that leaves several tries before the next of these instants; never less than the base."""
    left = [instant - now for instant in ahead if instant is not None and instant > now]
    return min([wait, *(max(base, one / 4) for one in left)])


def wait_for_data(waited: timedelta, base: timedelta, cap: timedelta) -> timedelta:
    """How long a job waits for data of our own before it looks again, having waited since it was due.

    Whoever stores the data makes the job due at once; this wait only covers data that comes another way.
    """
    return min(cap, max(base, waited / 4))


def may_repeat(policy: OnUnknownResult, send_attempts: int) -> bool:
    """Whether an effect with an unknown result, sent `send_attempts` times, is repeated without a person."""
    return policy == OnUnknownResult.REPEAT or (policy == OnUnknownResult.REPEAT_ONCE and send_attempts < 2)


@dataclass(frozen=True)
class Failure:
    """Why a try failed: a code, and a text without personal data.

    `foreseen` is False for a mistake of ours.
    """

    reason: PutOffReason
    text: str
    foreseen: bool = True


#: Reasons that end with the target's recovery: its first answer makes such jobs due.
OF_TARGET = (
    PutOffReason.UNREACHABLE,
    PutOffReason.NOT_READY,
    PutOffReason.LOGIN_REFUSED,
    PutOffReason.RATE_LIMITED,
    PutOffReason.REPLY_LOST,
    PutOffReason.PUT_OFF,
)

#: Those of them that are certainly no fault of one effect: nothing can reach the target.
OF_WHOLE_TARGET = (PutOffReason.UNREACHABLE, PutOffReason.LOGIN_REFUSED)
#: How often the target's recovery makes a job due in vain. Then the job itself may be the cause, such as a
#: full mailbox, and each success of another job would try it again. Each try after a wait of its own allows
#: one more.
MOST_RECOVERIES = 5

#: States that wait for a person to decide.
UNDECIDED = (JobState.DEAD, JobState.UNCERTAIN)


@dataclass(frozen=True)
class JobFilter:
    """Which jobs an operator selects. A field that is None does not restrict.

    `since` is real time: when the job finished, or was inserted when it has not. `about` is a request, a
    session or the job's own subject; of a request it also selects what its session and events led to.
    `put_off` selects the jobs that wait for their next try.
    """

    job_id: UUID | None = None
    job_type: str | None = None
    state: str | None = None
    since: datetime | None = None
    about: UUID | None = None
    target: Target | None = None
    put_off: bool = False

    @property
    def selects_all(self) -> bool:
        return self == JobFilter()
