"""One side's copy of a consultation as iCalendar bytes (RFC 5545, 5546). Pure.

The organizer is always the service, the recipient the only attendee, times are UTC. Reminders belong
to the recipient: no alarm is ever set.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime

from icalendar import Calendar, Event, vCalAddress

from booking_tasks.mail.calendar_copy import CalendarCopy, Sender
from booking_tasks.mail.dates import instant_text
from booking_tasks.mail.message import Mailbox, Method
from booking_tasks.mail.render import one_line, render_text

_PRODUCT = "-//booking_tasks//Consultations//EN"
_LINE_OCTETS = 75


def uid(copy: CalendarCopy, sender: Sender) -> str:
    """The identity of the event, the same in every message about the session."""
    return f"{copy.session_id}@{sender.uid_domain}"


def calendar_part(copy: CalendarCopy, sender: Sender, method: Method) -> bytes:
    """An invitation, update or confirmation request (REQUEST), or a cancellation (CANCEL, without the link).

    SEQUENCE is the session's revision and DTSTAMP the instant of that revision, so that a client that
    receives messages out of order still ends with the latest.
    """
    result = Calendar()
    result.add("prodid", _PRODUCT)
    result.add("version", "2.0")
    result.add("calscale", "GREGORIAN")
    result.add("method", method)
    result.add_component(_event(copy, sender, method))
    return _folded(result.to_ical())


def content_digest(copy: CalendarCopy, sender: Sender) -> str:
    """Return a digest of what an invitation shows, whatever its revision and the reader's answer."""
    shown = replace(copy, revision=0, revised_at=copy.created_at, answer=None)
    return hashlib.sha256(calendar_part(shown, sender, "REQUEST")).hexdigest()


def _event(copy: CalendarCopy, sender: Sender, method: Method) -> Event:
    invited, needs_answer = method == "REQUEST", copy.answer_until is not None
    language = copy.recipient.language
    values = {
        "service": one_line(copy.service),
        "counterpart": one_line(copy.counterpart),
        "link": copy.join_url,
        "details": copy.details,
        "until": _answer_until_text(copy),
    }
    about = "confirmation_request" if needs_answer else "event"
    event = Event()
    event.add("uid", uid(copy, sender))
    event.add("sequence", copy.revision)
    event.add("dtstamp", _utc(copy.revised_at))
    event.add("last-modified", _utc(copy.revised_at))
    event.add("created", _utc(copy.created_at))
    event.add("dtstart", _utc(copy.start))
    event.add("dtend", _utc(copy.end))
    event.add(
        "summary",
        _printable(render_text(f"{about}_summary" if invited else "event_summary", language, **values)),
    )
    event.add(
        "description",
        _printable(render_text(f"{about}_{'description' if invited else 'cancelled'}", language, **values)),
    )
    if invited and not needs_answer:
        event.add("location", _printable(render_text("event_location", language, **values)))
    event.add("status", ("TENTATIVE" if needs_answer else "CONFIRMED") if invited else "CANCELLED")
    event.add("transp", "OPAQUE")
    event.add("class", "PUBLIC")
    event.add("organizer", _address(sender.mailbox))
    event.add("attendee", _attendee(copy, invited=invited))
    return event


def _answer_until_text(copy: CalendarCopy) -> str | None:
    reader = copy.recipient
    if copy.answer_until is None:
        return None
    return instant_text(copy.answer_until, reader.time_zone, reader.language)


def _attendee(copy: CalendarCopy, *, invited: bool) -> vCalAddress:
    """The reader, with their answer; who has answered to this time is not asked again."""
    attendee = _address(copy.recipient.mailbox)
    attendee.params["CUTYPE"] = "INDIVIDUAL"
    attendee.params["ROLE"] = "REQ-PARTICIPANT"
    attendee.params["PARTSTAT"] = "NEEDS-ACTION" if copy.answer is None else copy.answer.upper()
    if invited and copy.answer is None:
        attendee.params["RSVP"] = "TRUE"
    return attendee


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(microsecond=0)


def _printable(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(
        "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cs")) for line in lines
    )


def _address(mailbox: Mailbox) -> vCalAddress:
    address = vCalAddress(f"mailto:{mailbox.address}")
    # A parameter cannot hold a double quote; few clients read RFC 6868's way of writing one.
    name = _printable(one_line(mailbox.name)).replace('"', "'")
    if name:
        address.params["CN"] = name
    return address


def _folded(content: bytes) -> bytes:
    """Lines of at most 75 octets (RFC 5545 section 3.1), cut neither in a character nor in an escape.

    The library cuts between a backslash and what it escapes, which some readers do not put together.
    """
    text = content.replace(b"\r\n ", b"").decode()
    return b"".join(_folded_line(line) + b"\r\n" for line in text.split("\r\n") if line)


def _folded_line(line: str) -> bytes:
    pieces, piece = [], b""
    escape = ""
    for character in line:
        unit = escape + character
        escape = character if unit == "\\" else ""
        if escape:
            continue
        octets = unit.encode()
        if len(piece) + len(octets) > _LINE_OCTETS:
            pieces.append(piece)
            piece = b" "
        piece += octets
    return b"".join(part + b"\r\n" for part in pieces) + piece + escape.encode()
