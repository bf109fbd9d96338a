"""The job ledger's rules: the kinds, what a lost outcome means for each, and when to try again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
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


@dataclass(frozen=True)
class LeasedJob:
    """A job this worker holds. `token` is the fence: every later write must name it.

    `effect` is what an earlier try sent whose outcome is not known: a repeat sends just that.
    """

    id: UUID
    key: str
    kind: str
    subject_id: UUID
    revision: int
    recipient: UUID | None
    detail: str
    due_at: datetime
    attempts: int
    sendings: int
    token: UUID
    effect: bytes | None


def backoff(attempt: int, base: timedelta, cap: timedelta, random: Callable[[], float]) -> timedelta:
    """How long to wait after the given failed attempt (1 is the first): exponential with full jitter.

    Never less than half the base, so that a broken target is not hammered.
    """
    ceiling: timedelta = min(cap, base * (1 << min(attempt - 1, 20)))
    return max(base / 2, ceiling * random())


def may_repeat(lost_outcome: LostOutcome, sendings: int) -> bool:
    """Whether an effect with an unknown outcome, tried `sendings` times, is tried again by itself."""
    return lost_outcome == "repeat" or (lost_outcome == "repeat_once" and sendings < 2)


#: States that wait for a person to decide.
UNDECIDED = ("dead", "uncertain")


@dataclass(frozen=True)
class Wanted:
    """Which jobs an operator means. What is None does not matter.

    `since` is real time: when the job was settled, or written when it is not. `about` is a request, a
    session or the job's own subject; of a request it also means what its session and events led to.
    """

    job_id: UUID | None = None
    kind: str | None = None
    state: str | None = None
    since: datetime | None = None
    about: UUID | None = None

    @property
    def means_all(self) -> bool:
        return self == Wanted()
