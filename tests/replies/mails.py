"""Replies as calendar programs send them."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr

UID_DOMAIN = "booking.example.org"
#: The name of the border mail server of these tests.
AUTHSERV = "mx.example.org"
WEBER = "weber@example.org"


def calendar(
    entry: object,
    answer: str = "ACCEPTED",
    *,
    sequence: int | None = 0,
    attendee: str = f"ATTENDEE;PARTSTAT={{answer}}:mailto:{WEBER}",
    method: str | None = "REPLY",
    stamp: str | None = "20270301T090500Z",
    more: tuple[str, ...] = (),
) -> str:
    """A reply to one of our entries, with whatever lines more."""
    lines = ["BEGIN:VCALENDAR", "PRODID:-//somebody//calendar//EN", "VERSION:2.0"]
    lines += [f"METHOD:{method}"] if method else []
    lines += ["BEGIN:VEVENT", f"UID:{entry}@{UID_DOMAIN}"]
    lines += [f"DTSTAMP:{stamp}"] if stamp is not None else []
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


def through_border(raw: bytes, *, dmarc: str = "pass") -> bytes:
    """A mail as a border mail server hands it on: forged headers of its name removed, its own on top."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    fields = [one for one in head.split(b"\r\n") if not one.lower().startswith(b"authentication-results:")]
    [author] = [one for one in fields if one.lower().startswith(b"from:")]
    domain = parseaddr(author.decode().partition(":")[2])[1].rpartition("@")[2]
    stamp = (
        f"Authentication-Results: {AUTHSERV}; spf=none smtp.mailfrom={domain};\r\n"
        f" dmarc={dmarc} (p=NONE) header.from={domain}\r\n"
        f"Received: from out.{domain} (out.{domain} [192.0.2.1])\r\n by {AUTHSERV} (Postfix) with ESMTPS\r\n"
    )
    return stamp.encode() + b"\r\n".join(fields) + separator + body
