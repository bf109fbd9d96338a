"""The types of job, the policy of each, and a job that is to be written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Queue = Literal["provision", "notify", "sweep"]
LostOutcome = Literal["repeat", "repeat_once", "never"]
Subject = Literal["request", "session", "event", "consultant", "plan"]


@dataclass(frozen=True)
class Kind:
    """One kind of job. `lost_outcome` is the policy when nobody knows whether the effect happened:

    `repeat`: the target takes our key, or the work only reads; do it again.
    `repeat_once`: once more, byte-identical, then a person decides.
    `never`: a person decides.

    `subject` is what the job's subject id names. One that `outlasts` an outage is not given up while its
    target is away, for as long as the deployment's patience: nothing else follows from giving it up.
    """

    queue: Queue
    lost_outcome: LostOutcome
    subject: Subject = "session"
    outlasts: bool = False


KINDS: dict[str, Kind] = {
    "assign_request": Kind("sweep", "repeat", "request"),
    "offer_time": Kind("sweep", "repeat", "consultant"),
    "announce_absence": Kind("sweep", "repeat", "plan"),
    "end_proposal": Kind("sweep", "repeat"),
    "check_attendance": Kind("sweep", "repeat"),
    "provision_meeting": Kind("provision", "repeat"),
    "close_meeting": Kind("provision", "repeat", outlasts=True),
    "collect_attendance": Kind("provision", "repeat"),
    "send_invite": Kind("notify", "repeat_once", outlasts=True),
    "send_cancellation": Kind("notify", "repeat_once", outlasts=True),
    "send_reminder": Kind("notify", "never"),
    "send_notice": Kind("notify", "never", "request", outlasts=True),
    "publish_event": Kind("notify", "repeat", "event", outlasts=True),
}


@dataclass(frozen=True)
class NewJob:
    """A job to be written. `detail` tells apart jobs of one kind, subject, revision and recipient."""

    kind: str
    subject_id: UUID
    due_at: datetime
    revision: int = 0
    recipient: UUID | None = None
    detail: str = ""

    @property
    def key(self) -> str:
        """What makes the effect exist once: kind, subject, revision, recipient, detail."""
        recipient = "" if self.recipient is None else str(self.recipient)
        return f"{self.kind}:{self.subject_id}:{self.revision}:{recipient}:{self.detail}"
