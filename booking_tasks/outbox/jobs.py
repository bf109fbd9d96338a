"""The policy of each type of job, and a job that is about to be inserted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

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


@dataclass(frozen=True)
class JobPolicy:
    """How jobs of one type run.

    With `retry_through_outage` a job is not given up while its target is away, up to the deployment's outage
    retry window: giving it up would have no consequence, so nothing is lost by trying longer.
    """

    queue: Queue
    on_unknown_result: OnUnknownResult
    retry_through_outage: bool = False


JOB_TYPES: dict[JobType, JobPolicy] = {
    JobType.ASSIGN_REQUEST: JobPolicy("sweep", OnUnknownResult.REPEAT),
    JobType.OFFER_TIME: JobPolicy("sweep", OnUnknownResult.REPEAT),
    JobType.ANNOUNCE_ABSENCE: JobPolicy("sweep", OnUnknownResult.REPEAT),
    JobType.END_PROPOSAL: JobPolicy("sweep", OnUnknownResult.REPEAT),
    JobType.CHECK_ATTENDANCE: JobPolicy("sweep", OnUnknownResult.REPEAT),
    JobType.PROVISION_MEETING: JobPolicy("provision", OnUnknownResult.REPEAT),
    JobType.CLOSE_MEETING: JobPolicy("provision", OnUnknownResult.REPEAT, retry_through_outage=True),
    JobType.COLLECT_ATTENDANCE: JobPolicy("provision", OnUnknownResult.REPEAT),
    JobType.SEND_INVITE: JobPolicy("notify", OnUnknownResult.REPEAT_ONCE, retry_through_outage=True),
    JobType.SEND_CANCELLATION: JobPolicy("notify", OnUnknownResult.REPEAT_ONCE, retry_through_outage=True),
    JobType.SEND_REMINDER: JobPolicy("notify", OnUnknownResult.NEVER),
    JobType.SEND_NOTICE: JobPolicy("notify", OnUnknownResult.NEVER, retry_through_outage=True),
    JobType.PUBLISH_EVENT: JobPolicy("notify", OnUnknownResult.REPEAT, retry_through_outage=True),
}


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
