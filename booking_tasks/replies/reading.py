"""Reads a calendar text as a reply (RFC 5546 section 3.2.3).

It never runs in a worker on text from outside: `sandbox.py` runs it in a process of its own, as it does for
outside calendars.
"""

from __future__ import annotations

from datetime import UTC, datetime

from icalendar import Component

from booking_tasks.calendars.reading import UnreadableError, as_list, parse_calendars
from booking_tasks.enums import RefusalCode, ReplyAnswer
from booking_tasks.replies.rules import Rejected, Reply

_ANSWERS: dict[str, ReplyAnswer] = {
    "ACCEPTED": ReplyAnswer.ACCEPTED,
    "DECLINED": ReplyAnswer.DECLINED,
    "TENTATIVE": ReplyAnswer.TENTATIVE,
}
#: A reply has one event, and perhaps a time zone with its two halves.
_MOST_ENTRIES = 20


def read(content: bytes) -> Reply | Rejected:
    """The reply in a calendar text, or why there is none.

    What a reply need not have is not missed (ORGANIZER, DTSTAMP), and what it should not have is not
    minded (alarms, time zones): programs differ. No recurrence is ever expanded.
    """
    try:
        found = parse_calendars(content, _MOST_ENTRIES)
    except UnreadableError as error:
        return Rejected(RefusalCode.UNREADABLE, str(error))
    if len(found) != 1:
        return Rejected(RefusalCode.NOT_A_REPLY, "it holds several calendars")
    method = str(found[0].get("METHOD", "")).upper()
    if method != "REPLY":
        if method == "COUNTER":
            return Rejected(
                RefusalCode.COUNTER_PROPOSAL, "it proposes another time, which is for a person to look at"
            )
        return Rejected(RefusalCode.NOT_A_REPLY, "its method is not REPLY")
    events = found[0].walk("VEVENT")
    if len(events) != 1 or "RECURRENCE-ID" in events[0]:
        return Rejected(RefusalCode.NOT_A_REPLY, "it is not about just one event")
    return _reply(events[0])


def _reply(event: Component) -> Reply | Rejected:
    attendees = as_list(event.get("ATTENDEE"))
    if len(attendees) != 1:
        return Rejected(RefusalCode.NOT_A_REPLY, "it does not name just one attendee")
    [attendee] = attendees
    named = (str(attendee), str(attendee.params.get("EMAIL", "")))
    try:
        sequence = int(event.get("SEQUENCE", 0))
    except (TypeError, ValueError):
        return Rejected(RefusalCode.UNREADABLE, "its SEQUENCE is no number")
    return Reply(
        uid=str(event.get("UID", "")),
        sequence=sequence,
        addresses=tuple(
            address for one in named if (address := one.casefold().removeprefix("mailto:").strip())
        ),
        answer=_ANSWERS.get(str(attendee.params.get("PARTSTAT", "")).upper()),
        answered_at=_answered_at(event),
    )


def _answered_at(event: Component) -> datetime | None:
    """Return the DTSTAMP; one without a zone counts as UTC, which the standard demands (RFC 5545 3.8.7.2)."""
    try:
        stamp = getattr(event.get("DTSTAMP"), "dt", None)
        if not isinstance(stamp, datetime):
            return None
        return (stamp.replace(tzinfo=UTC) if stamp.utcoffset() is None else stamp).astimezone(UTC)
    except (OverflowError, ValueError):
        return None
