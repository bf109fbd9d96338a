"""Calendars as their makers write them, from a few lines."""

from __future__ import annotations

#: As Outlook writes it: a Windows name that only the file describes, five hours behind UTC all year.
OUTLOOK_ZONE = """\
BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:16010101T000000
TZOFFSETFROM:-0500
TZOFFSETTO:-0500
END:STANDARD
END:VTIMEZONE"""


def event(*lines: str, uid: str = "one@elsewhere.example") -> str:
    """One VEVENT."""
    return "\n".join(["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20270201T000000Z", *lines, "END:VEVENT"])


def calendar(*parts: str) -> bytes:
    """A whole calendar of such parts, with the line ends that RFC 5545 asks for."""
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Elsewhere//Diary//EN")
    return "\r\n".join("\n".join([*head, *parts, "END:VCALENDAR", ""]).split("\n")).encode()


MEETING = event("DTSTART:20270302T090000Z", "DTEND:20270302T100000Z", "SUMMARY:Dentist Dr. Secret")
