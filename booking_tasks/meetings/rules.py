"""What a room is, which links are accepted, and which events a new link leads to."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from booking_tasks.enums import EvidenceType, SessionStatus
from booking_tasks.outbox.event_types import EventType
from booking_tasks.states import OPEN

MOST_OBSERVATIONS = 10_000

#: The characters a URL may consist of (RFC 3986 section 2); anything else must be percent-encoded.
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")


def checked_join_url(url: str) -> str:
    """The link itself, if people may be sent to it; otherwise ValueError with what is wrong.

    It must be https (http only on a loopback host), name a host, carry no user or password
    (RFC 3986 section 3.2.1: they disguise the host) and be free of spaces and control characters.
    """
    if not _URL.fullmatch(url):
        raise ValueError("holds characters that do not belong in a URL")
    parts = urlsplit(url)
    host = parts.hostname
    if not host or (parts.port is not None and not 0 < parts.port < 65536):
        raise ValueError("names no host")
    if "@" in parts.netloc:
        raise ValueError("carries user information")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ValueError("is not https")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _printable(word: str) -> str:
    if not word.isprintable():
        raise ValueError("holds control characters")
    return word


Word = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
JoinUrl = Annotated[str, Field(max_length=2000), AfterValidator(checked_join_url)]


class _Model(BaseModel):
    """Strict, so that a number is no instant; other fields are ignored, so that platforms may send more."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class RoomSpec(_Model):
    """What a platform receives of a session: times in UTC and both sides' ids; no personal data."""

    session_id: UUID
    revision: int
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    requester_user_id: UUID
    consultant_user_id: UUID


class Room(_Model):
    """A room of the platform."""

    room_id: Word
    join_url: JoinUrl


class ListedRoom(_Model):
    """One room of the platform's list."""

    session_id: UUID
    starts_at: AwareDatetime
    ends_at: AwareDatetime


class RoomObservation(_Model):
    """One observation of the platform. `user_id` may be a person that this service does not know."""

    id: Word
    evidence_type: Literal["joined", "left", "room_opened", "room_closed"]
    observed_at: AwareDatetime
    user_id: Annotated[str, Field(max_length=200)] | None = None


class AttendanceReport(_Model):
    """The platform's observations of a room; `complete` says that no more will follow."""

    complete: bool
    observations: Annotated[tuple[RoomObservation, ...], Field(strict=False, max_length=MOST_OBSERVATIONS)]


class RoomOrder(_Model):
    """The order to make or change a room, under a key."""

    key: str
    spec: RoomSpec


class CloseOrder(_Model):
    """The order to close a room, under a key."""

    key: str
    session_id: UUID


class ReportOrder(_Model):
    """The order to fetch the observations of a room."""

    session_id: UUID


Order = RoomOrder | CloseOrder | ReportOrder


def link_events(
    previous_url: str | None, url: str, *, invited: bool, announced: bool
) -> tuple[EventType, ...]:
    """The events that a link leads to, in order.

    `invited`: invites of this revision exist, so another link needs a new revision to reach people.
    `announced`: this revision's link was announced before.
    """
    if previous_url is None and invited:
        return (EventType.SESSION_LINK_CHANGED, EventType.SESSION_MEETING_READY)
    if previous_url is not None and previous_url != url:
        return (EventType.SESSION_LINK_CHANGED,)
    return () if announced else (EventType.SESSION_MEETING_READY,)


@dataclass(frozen=True)
class ObservedEvidence:
    """One row of attendance evidence; `party` is None for what concerns the room as a whole."""

    evidence_type: str
    party: str | None
    observed_at: datetime
    external_id: str


def evidence_of(
    report: AttendanceReport, parties: Mapping[UUID, str], now: datetime
) -> list[ObservedEvidence]:
    """A report as evidence about the two sides: other people in the room prove nothing about them."""
    by_user = {str(user_id): party for user_id, party in parties.items()}
    found = []
    for seen in report.observations:
        presence = seen.evidence_type in {EvidenceType.JOINED, EvidenceType.LEFT}
        party = by_user.get((seen.user_id or "").lower()) if presence else None
        if party is not None or not presence:
            found.append(ObservedEvidence(seen.evidence_type, party, seen.observed_at, f"seen:{seen.id}"))
    if report.complete:
        found.append(ObservedEvidence(EvidenceType.REPORT_COMPLETE, None, now, "report_complete"))
    return found


@dataclass(frozen=True)
class KnownSession:
    """A session as the comparison with the platform's list needs it.

    `settled`: there is no unfinished job about its room.
    """

    id: UUID
    revision: int
    status: str
    starts_at: datetime
    ends_at: datetime
    settled: bool


@dataclass(frozen=True)
class Differences:
    """Rooms that no session needs, sessions whose room is missing or has old times, and unknown rooms."""

    orphans: tuple[KnownSession, ...]
    missing: tuple[KnownSession, ...]
    unknown_rooms: tuple[UUID, ...]


def differences(listed: Collection[ListedRoom], sessions: Collection[KnownSession]) -> Differences:
    """Compare the platform's list with our sessions, except sessions whose room has unfinished jobs."""
    rooms = {room.session_id: room for room in listed}
    idle = [session for session in sessions if session.settled]
    return Differences(
        orphans=tuple(one for one in idle if one.status not in OPEN and one.id in rooms),
        missing=tuple(
            one for one in idle if one.status == SessionStatus.SCHEDULED and not _serves(rooms, one)
        ),
        unknown_rooms=tuple(sorted(rooms.keys() - {session.id for session in sessions})),
    )


def _serves(rooms: Mapping[UUID, ListedRoom], session: KnownSession) -> bool:
    room = rooms.get(session.id)
    return room is not None and (room.starts_at, room.ends_at) == (session.starts_at, session.ends_at)
