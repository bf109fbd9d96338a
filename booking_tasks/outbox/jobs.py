"""The policy of each type of job, and a job that is about to be inserted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from booking_tasks.enums import Target
from booking_tasks.outbox.job_args import JobArgs, JobType

Queue = Literal["provision", "notify", "sweep"]


class OnUnknownResult(StrEnum):
    """What to do when nobody knows whether the effect happened.

    `repeat`: the target accepts our key, or the work only reads; do it again.
    `repeat_once`: once more, byte-identical, then a person decides.
    `never`: a person decides.
    """

    REPEAT = "repeat"
    REPEAT_ONCE = "repeat_once"
    NEVER = "never"


class Deadline(StrEnum):
    """Until when a job is tried again while its target is away.

    `subject`: until its subject does not need it any more. `prepare` then skips it.
    `window`: for `BOOKING_OUTAGE_RETRY_WINDOW` after it was due, or until the end that its step names if that
    is later. Then it is dead.
    `attempts`: it has no target, so what fails is a mistake; it is dead after `BOOKING_JOB_ATTEMPTS` tries.

    An unforeseen error counts attempts whatever the job type.
    """

    SUBJECT = "subject"
    WINDOW = "window"
    ATTEMPTS = "attempts"


@dataclass(frozen=True)
class JobPolicy:
    """How jobs of one type run: where, until when, to which target, and after an unknown result."""

    queue: Queue
    on_unknown_result: OnUnknownResult
    deadline: Deadline = Deadline.ATTEMPTS
    target: Target | None = None


def _meetings(deadline: Deadline) -> JobPolicy:
    return JobPolicy("provision", OnUnknownResult.REPEAT, deadline, Target.MEETINGS)


def _mail(deadline: Deadline, on_unknown_result: OnUnknownResult) -> JobPolicy:
    return JobPolicy("notify", on_unknown_result, deadline, Target.MAIL)


JOB_TYPES: dict[JobType, JobPolicy] = {
    JobType.ASSIGN_REQUEST: JobPolicy("sweep", OnUnknownResult.REPEAT),
    JobType.OFFER_TIME: JobPolicy("sweep", OnUnknownResult.REPEAT),
    JobType.ANNOUNCE_ABSENCE: JobPolicy("sweep", OnUnknownResult.REPEAT),
    JobType.END_PROPOSAL: JobPolicy("sweep", OnUnknownResult.REPEAT),
    JobType.UPDATE_INVITES: JobPolicy("sweep", OnUnknownResult.REPEAT),
    JobType.CHECK_ATTENDANCE: JobPolicy("sweep", OnUnknownResult.REPEAT),
    JobType.PROVISION_MEETING: _meetings(Deadline.SUBJECT),  # until the session's end
    JobType.CLOSE_MEETING: _meetings(Deadline.WINDOW),  # then the daily comparison finds the room again
    JobType.COLLECT_ATTENDANCE: _meetings(Deadline.SUBJECT),  # until the verdict
    JobType.SEND_INVITE: _mail(Deadline.SUBJECT, OnUnknownResult.REPEAT_ONCE),  # until the session's end
    JobType.SEND_CANCELLATION: _mail(Deadline.WINDOW, OnUnknownResult.REPEAT_ONCE),  # or the session's end
    JobType.SEND_REMINDER: _mail(Deadline.SUBJECT, OnUnknownResult.NEVER),  # until the session's start
    JobType.SEND_NOTICE: _mail(Deadline.WINDOW, OnUnknownResult.NEVER),  # or while an answer is possible
    JobType.PUBLISH_EVENT: JobPolicy(  # as long as the history has the event
        "notify", OnUnknownResult.REPEAT, Deadline.SUBJECT, Target.EVENTS
    ),
}


def job_types_of(target: Target) -> list[JobType]:
    """The job types whose effects go to a target."""
    return [job_type for job_type, policy in JOB_TYPES.items() if policy.target == target]


@dataclass(frozen=True)
class NewJob:
    """A job that is about to be inserted."""

    args: JobArgs
    due_at: datetime

    @property
    def job_type(self) -> JobType:
        return self.args.job_type

    @property
    def subject_id(self) -> UUID:
        return self.args.subject_id

    @property
    def key(self) -> str:
        return self.args.key
