"""What a reply says, whose it is, and what it is worth. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from booking_tasks.enums import RefusalCode, ReplyAnswer

#: Why a calendar text is no reply that can be used.
Unusable = Literal[RefusalCode.UNREADABLE, RefusalCode.NOT_A_REPLY, RefusalCode.COUNTER_PROPOSAL]


@dataclass(frozen=True)
class Reply:
    """A reply as read. `addresses` are those of its one attendee, in lower case."""

    uid: str
    sequence: int
    addresses: tuple[str, ...]
    answer: ReplyAnswer | None


@dataclass(frozen=True)
class Rejected:
    """What came is no reply that can be used; `why` quotes nothing of it."""

    code: Unusable
    why: str


def entry_of(uid: str, domain: str) -> UUID | None:
    """Which of our entries a UID names: a question or a session."""
    name, _, host = uid.rpartition("@")
    if host.casefold() != domain.casefold():
        return None
    try:
        return UUID(name)
    except ValueError:
        return None


def is_from(reply: Reply, sender: str, known: str) -> bool:
    """Whether the mail and the attendee in it are both the person of this address."""
    return sender.casefold() == known.casefold() and known.casefold() in reply.addresses


def is_stale(reply: Reply, revision: int) -> bool:
    """Whether it answers what has changed since. A higher number than ours is some program's habit."""
    return reply.sequence < revision
