"""A reference calendar: what a client shows after mails with events (RFC 5546 section 2.1.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from icalendar import Calendar


@dataclass(frozen=True)
class Received:
    """One mail with an event, as a client reads it."""

    to: str
    method: str
    uid: str
    sequence: int
    stamp: Any
    summary: str
    answer: str
    has_rsvp: bool
    text: str

    @property
    def version(self) -> tuple[int, Any]:
        return self.sequence, self.stamp


def received(mail: EmailMessage) -> Received:
    part = next(part for part in mail.walk() if part.get_content_type() == "text/calendar")
    raw = bytes(part.get_payload(decode=True))
    calendar = Calendar.from_ical(raw)
    [event] = calendar.walk("VEVENT")
    parameters = event["ATTENDEE"].params
    return Received(
        to=mail["To"].addresses[0].addr_spec.lower(),
        method=str(calendar["METHOD"]),
        uid=str(event["UID"]),
        sequence=event.decoded("SEQUENCE"),
        stamp=event.decoded("DTSTAMP"),
        summary=str(event["SUMMARY"]),
        answer=str(parameters["PARTSTAT"]),
        has_rsvp=parameters.get("RSVP") == "TRUE",
        text=raw.decode().replace("\r\n ", ""),
    )


@dataclass
class CalendarClient:
    """Applies mails by UID, SEQUENCE and DTSTAMP; an older version than the one known changes nothing.

    A cancellation of an event that is not there is remembered, as servers do, unless `forgets` is set.
    """

    forgets: bool = False
    known: dict[str, Received] = field(default_factory=dict)

    def apply(self, mail: Received) -> None:
        last = self.known.get(mail.uid)
        if last is None and mail.method == "CANCEL" and self.forgets:
            return
        if last is None or mail.version > last.version:
            self.known[mail.uid] = mail

    @property
    def events(self) -> list[Received]:
        return [mail for mail in self.known.values() if mail.method == "REQUEST"]
