"""The types of job, the policy of each, and a job that is to be written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Queue = Literal["provision", "notify", "sweep"]
OnUnknownResult = Literal["repeat", "repeat_once", "never"]
Subject = Literal["request", "session", "event", "consultant", "plan"]


@dataclass(frozen=True)
class JobPolicy:
    """One kind of job. `lost_outcome` is the policy when nobody knows whether the effect happened:

    `repeat`: the target takes our key, or the work only reads; do it again.
    `repeat_once`: once more, byte-identical, then a person decides.
    `never`: a person decides.

    `subject` is what the job's subject id names. One that `outlasts` an outage is not given up while its
    target is away, for as long as the deployment's patience: nothing else follows from giving it up.
    """

    queue: Queue
    on_unknown_result: OnUnknownResult
    subject: Subject = "session"
    retry_through_outage: bool = False


JOB_TYPES: dict[str, JobPolicy] = {
    "assign_request": JobPolicy("sweep", "repeat", "request"),
    "offer_time": JobPolicy("sweep", "repeat", "consultant"),
    "announce_absence": JobPolicy("sweep", "repeat", "plan"),
    "end_proposal": JobPolicy("sweep", "repeat"),
    "check_attendance": JobPolicy("sweep", "repeat"),
    "provision_meeting": JobPolicy("provision", "repeat"),
    "close_meeting": JobPolicy("provision", "repeat", retry_through_outage=True),
    "collect_attendance": JobPolicy("provision", "repeat"),
    "send_invite": JobPolicy("notify", "repeat_once", retry_through_outage=True),
    "send_cancellation": JobPolicy("notify", "repeat_once", retry_through_outage=True),
    "send_reminder": JobPolicy("notify", "never"),
    "send_notice": JobPolicy("notify", "never", "request", retry_through_outage=True),
    "publish_event": JobPolicy("notify", "repeat", "event", retry_through_outage=True),
}


@dataclass(frozen=True)
class NewJob:
    """A job to be written. `detail` tells apart jobs of one kind, subject, revision and recipient."""

    job_type: str
    subject_id: UUID
    due_at: datetime
    revision: int = 0
    recipient: UUID | None = None
    detail: str = ""

    @property
    def key(self) -> str:
        """What makes the effect exist once: kind, subject, revision, recipient, detail."""
        recipient = "" if self.recipient is None else str(self.recipient)
        return f"{self.job_type}:{self.subject_id}:{self.revision}:{recipient}:{self.detail}"
