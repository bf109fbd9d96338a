"""Replies as calendar programs send them."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

UID_DOMAIN = "booking.example.org"
WEBER = "weber@example.org"


def calendar(
    entry: object,
    answer: str = "ACCEPTED",
    *,
    sequence: int | None = 0,
    attendee: str = f"ATTENDEE;PARTSTAT={{answer}}:mailto:{WEBER}",
    method: str | None = "REPLY",
    more: tuple[str, ...] = (),
) -> str:
    """A reply to one of our entries, with whatever lines more."""
    lines = ["BEGIN:VCALENDAR", "PRODID:-//somebody//calendar//EN", "VERSION:2.0"]
    lines += [f"METHOD:{method}"] if method else []
    lines += ["BEGIN:VEVENT", f"UID:{entry}@{UID_DOMAIN}", "DTSTAMP:20270301T090500Z"]
    lines += [f"SEQUENCE:{sequence}"] if sequence is not None else []
    lines += [attendee.format(answer=answer), *more, "END:VEVENT", "END:VCALENDAR"]
    return "\r\n".join(lines) + "\r\n"


def mail(content: str, sender: str = WEBER, **headers: str) -> bytes:
    """The mail around it, as Google and others write it: the part itself and a copy to save."""
    made = EmailMessage(policy=SMTP)
    made["From"] = f"Dr Weber <{sender}>"
    made["To"] = "Consultations <booking@example.org>"
    made["Subject"] = "Accepted: Algebra"
    made["Message-ID"] = headers.pop("Message_ID", "<1@mail.example.org>")
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content("Dr Weber has accepted.")
    made.add_alternative(content.encode(), maintype="text", subtype="calendar", params={"method": "REPLY"})
    made.add_attachment(content.encode(), maintype="application", subtype="ics", filename="invite.ics")
    return made.as_bytes()
