"""A reply as read, who sent it, and whether it is outdated. Pure."""

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
    """A calendar text that is no usable reply; `why` quotes nothing of it."""

    code: Unusable
    why: str


def entry_of(uid: str, domain: str) -> UUID | None:
    """Return the id in a UID of ours: that of a confirmation request or a session."""
    name, _, host = uid.rpartition("@")
    if host.casefold() != domain.casefold():
        return None
    try:
        return UUID(name)
    except ValueError:
        return None


def is_from(reply: Reply, sender: str, known: str) -> bool:
    """Return whether the mail and its attendee both have the address of this person."""
    return sender.casefold() == known.casefold() and known.casefold() in reply.addresses


def is_stale(reply: Reply, revision: int) -> bool:
    """Return whether it answers an earlier revision. Some programs send a higher number than ours."""
    return reply.sequence < revision
