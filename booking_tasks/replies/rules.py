"""A reply as read, who sent it, and whether it is outdated. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from booking_tasks.enums import RefusalCode, ReplyAnswer

#: A DTSTAMP further ahead than this comes from a wrong clock, and must not outlast every later answer.
_WRONG_CLOCK = timedelta(days=1)
_CAUTION: dict[ReplyAnswer, int] = {
    ReplyAnswer.ACCEPTED: 0,
    ReplyAnswer.TENTATIVE: 1,
    ReplyAnswer.DECLINED: 2,
}

#: Why a calendar text is no reply that can be used.
Unusable = Literal[RefusalCode.UNREADABLE, RefusalCode.NOT_A_REPLY, RefusalCode.COUNTER_PROPOSAL]


@dataclass(frozen=True)
class Reply:
    """A reply as read.

    `addresses` are those of its one attendee, in lower case; `answered_at` is its DTSTAMP.
    """

    uid: str
    sequence: int
    addresses: tuple[str, ...]
    answer: ReplyAnswer | None
    answered_at: datetime | None = None


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


def is_stale(reply: Reply, invited_sequence: int) -> bool:
    """Return whether it answers less than what its sender was last asked.

    Some programs send a higher number than ours.
    """
    return reply.sequence < invited_sequence


def answered_at(reply: Reply, now: datetime) -> datetime:
    """Return when an answer was given; `now` where it does not say, or says what no clock can show."""
    return now if reply.answered_at is None or reply.answered_at > now + _WRONG_CLOCK else reply.answered_at


def is_overtaken(
    answer: ReplyAnswer, answered: datetime, known: ReplyAnswer, known_answered_at: datetime
) -> bool:
    """Return whether an answer loses against the one that is known, in whatever order they arrive.

    The later DTSTAMP wins (RFC 5546 section 2.1.5). It has whole seconds: of two in the same second the more
    cautious answer wins, so that the end does not depend on the mail server.
    """
    return (answered, _CAUTION[answer]) < (known_answered_at, _CAUTION[known])
