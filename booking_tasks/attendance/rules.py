"""Who attended, according to the evidence, and the verdict that follows from it. Pure.

Nobody is accused without evidence: `absent` needs proof that the room was watched during this session, and
no trace of the person; everything between that and presence is `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from booking_tasks.enums import Attendance, EvidenceType, Party, SessionStatus

#: People come early. What happened longer before the start (a test of the link, an earlier date of a
#: moved session) says nothing about this session: it neither proves that the room was watched nor,
#: where the leaving was not seen, that somebody stayed.
EARLY = timedelta(minutes=15)

#: Platforms report one leaving more than once, when a connection ends and again when the room notices. A
#: leaving of the same side and source at most this long after the one that ended a visit is such a repeat.
REPEATED = timedelta(seconds=60)

#: At one instant: who arrives and leaves again was there for no time at all.
_ORDER: dict[str, int] = {EvidenceType.JOINED: 0, EvidenceType.LEFT: 1}

SIDES: tuple[Party, ...] = (Party.REQUESTER, Party.CONSULTANT)
_OTHER: dict[Party, Party] = {Party.REQUESTER: Party.CONSULTANT, Party.CONSULTANT: Party.REQUESTER}


@dataclass(frozen=True)
class Interval:
    """From `start` until `end`, two instants."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """Elapsed time."""
        return self.end - self.start


@dataclass(frozen=True)
class EvidenceItem:
    """One piece of evidence (enums.EvidenceType) of one source; `party` for joined and left."""

    evidence_type: str
    at: datetime
    source: str
    party: str | None = None


@dataclass(frozen=True)
class Trace:
    """What the evidence shows of one side in a scheduled time: presence, and whether it is unclear.

    `unclear` is true for a leaving after the start that no open joining of its source explains, and for a
    joining long before the start whose leaving nobody saw: neither shows presence, both forbid `absent`.
    """

    presence: tuple[Interval, ...]
    unclear: bool


@dataclass(frozen=True)
class _Visits:
    """What one source saw of one side: visits with an end, joinings and leavings without their other half."""

    ended: list[Interval]
    open_since: list[datetime]
    unexplained: list[datetime]


def trace(seen: Iterable[EvidenceItem], party: Party, agreed: Interval) -> Trace:
    """Return the trace of one side. Order and repeats of the evidence do not matter.

    Sources are read apart and laid over each other. Within a source a leaving ends the latest open
    joining, so that several devices add up. Presence nobody saw end lasts until the room is seen to
    close, or until the agreed end. Only presence between the agreed start and end counts: who comes early is
    there from the start.
    """
    items = frozenset(seen)
    visits: list[Interval] = []
    unclear = False
    for source in {one.source for one in items if one.party == party}:
        own = _visits(items, party, source)
        early = [since for since in own.open_since if since < agreed.start - EARLY]
        visits += own.ended
        visits += [Interval(since, agreed.end) for since in own.open_since if since not in early]
        unclear |= bool(early) or any(at > agreed.start for at in own.unexplained)
    return Trace(_merged(visits, agreed), unclear)


def _visits(items: frozenset[EvidenceItem], party: Party, source: str) -> _Visits:
    own = (one for one in items if one.party == party and one.source == source)
    found = _Visits([], [], [])
    unended: list[datetime] = []
    for one in sorted(own, key=lambda one: (one.at, _ORDER[one.evidence_type])):
        if one.evidence_type == EvidenceType.JOINED:
            unended.append(one.at)
        elif unended:
            found.ended.append(Interval(unended.pop(), one.at))
        elif not found.ended or one.at - found.ended[-1].end > REPEATED:
            found.unexplained.append(one.at)
    for since in unended:
        closings = [
            one.at for one in items if one.evidence_type == EvidenceType.ROOM_CLOSED and one.at >= since
        ]
        if closings:
            found.ended.append(Interval(since, min(closings)))
        else:
            found.open_since.append(since)
    return found


def _merged(visits: Iterable[Interval], agreed: Interval) -> tuple[Interval, ...]:
    """Return the visits inside the scheduled time, merged and in order."""
    merged: list[Interval] = []
    for visit in sorted(visits, key=lambda one: one.start):
        start, end = max(visit.start, agreed.start), min(visit.end, agreed.end)
        if start >= end:
            continue
        if merged and start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, end))
        else:
            merged.append(Interval(start, end))
    return tuple(merged)


def side_attendance(
    seen: Iterable[EvidenceItem], party: Party, agreed: Interval, minimum: timedelta
) -> Attendance:
    """Return whether one side attended.

    `attended`: there for at least `minimum` of elapsed time in all (or the whole of a shorter
    session). `absent`: not so, nothing unclear, and the room was watched. Otherwise `unknown`.
    """
    items = frozenset(seen)
    own = trace(items, party, agreed)
    there = sum((one.length for one in own.presence), timedelta(0))
    if own.presence and there >= min(minimum, agreed.length):
        return Attendance.ATTENDED
    if own.unclear or not room_was_watched(items, party, agreed):
        return Attendance.UNKNOWN
    return Attendance.ABSENT


def room_was_watched(seen: Iterable[EvidenceItem], party: Party, agreed: Interval) -> bool:
    """Return whether the evidence would show this side if it had come.

    Proof is: the room was seen to open around this session, or the other side was seen in it, or a
    source calls its report complete when the session is over (an earlier report misses latecomers).
    """
    items = frozenset(seen)
    return bool(trace(items, _OTHER[party], agreed).presence) or any(
        (one.evidence_type == EvidenceType.ROOM_OPENED and agreed.start - EARLY <= one.at <= agreed.end)
        or (one.evidence_type == EvidenceType.REPORT_COMPLETE and one.at >= agreed.end)
        for one in items
    )


def missing_sides(seen: Iterable[EvidenceItem], agreed: Interval, now: datetime) -> tuple[Party, ...]:
    """Return the sides that did not come yet to a room that is watched, while the session runs."""
    items = frozenset(seen)
    so_far = Interval(agreed.start, min(now, agreed.end))
    return tuple(
        party
        for party in SIDES
        if trace(items, party, so_far) == Trace((), unclear=False)
        and room_was_watched(
            (one for one in items if one.evidence_type != EvidenceType.REPORT_COMPLETE), party, so_far
        )
    )


def verdict(requester: Attendance, consultant: Attendance) -> SessionStatus:
    """Return the status of an ended session. An absent consultant counts before an absent requester."""
    if consultant == Attendance.ABSENT:
        return SessionStatus.NO_SHOW_CONSULTANT
    if consultant == Attendance.ATTENDED and requester == Attendance.ATTENDED:
        return SessionStatus.COMPLETED
    if consultant == Attendance.ATTENDED and requester == Attendance.ABSENT:
        return SessionStatus.NO_SHOW_USER
    return SessionStatus.ATTENDANCE_UNKNOWN
