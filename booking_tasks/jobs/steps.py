"""What a handler decides about a leased job. Plain values: services return them, the runner acts on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Finished:
    """The job is done, in this very transaction; it had no outside effect."""


@dataclass(frozen=True)
class Skipped:
    """The job has no reason any more (cancelled, moved, too late): it ends as skipped, with the reason."""

    reason: str


@dataclass(frozen=True)
class Snooze:
    """Something else must happen first; the attempt does not count."""

    reason: str
    wait: timedelta = timedelta(seconds=2)


@dataclass(frozen=True)
class Send:
    """What is to be sent, exactly. It is stored before it is sent.

    `needed_by` is the instant by which it should have arrived: waits between tries get shorter towards it.
    `useful_until` is the instant at which it is useless.
    """

    payload: bytes
    needed_by: datetime | None = None
    useful_until: datetime | None = None


Step = Finished | Skipped | Snooze | Send
