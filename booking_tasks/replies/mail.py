"""Reads a calendar reply out of a mail (RFC 5322, MIME). Pure.

A mail that is not for this service (no calendar, several senders, too large) is no error: a person reads
that mailbox too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses
from uuid import UUID, uuid5

from booking_tasks.contracts.base import MAX_REQUEST_BYTES
from booking_tasks.contracts.replies import LONGEST_REPLY
from booking_tasks.enums import Authentication
from booking_tasks.replies.authentication import authentication

#: The largest mail that is read, in bytes: what we sent may come back in several copies, quoted-printable.
LARGEST_MAIL = 4 << 20
_MOST_PARTS = 50
_NAMESPACE = UUID("8b1f6c1e-6f2b-5c55-9d0a-0e6a4b7f2a10")
_CALENDARS = ("text/calendar", "application/ics")
#: What the rest of the message may take, in bytes of JSON.
_OTHER_FIELDS = 2_000
#: The texts of an event with their folded lines (RFC 5545 section 3.1). Programs send them back, some in
#: several forms, and no answer depends on them.
_TEXTS = re.compile(
    r"^(?:DESCRIPTION|X-ALT-DESC|SUMMARY|LOCATION)[;:][^\r\n]*(?:\r?\n[ \t][^\r\n]*)*(?:\r?\n|\Z)",
    re.IGNORECASE | re.MULTILINE,
)
_ADDRESS = re.compile(r"[^\s@<>,;]+@[A-Za-z0-9.-]+")


class NotForUsError(Exception):
    """The mail holds no calendar reply; the message says why and quotes nothing of it."""


@dataclass(frozen=True)
class CalendarMail:
    """The parts of a mail that are sent on. The same mail, delivered again, has the same `message_id`."""

    message_id: UUID
    sender: str = field(repr=False)
    calendar: str = field(repr=False)
    authentication: Authentication


def read(raw: bytes, authserv: str | None) -> CalendarMail:
    """Return the calendar reply in a mail. Raises NotForUsError.

    `authserv` is the name under which the deployment's own mail server writes Authentication-Results (RFC
    8601). Without it, the sender is `unchecked`.
    """
    if len(raw) > LARGEST_MAIL:
        raise NotForUsError(f"it is larger than {LARGEST_MAIL} bytes")
    try:
        mail = BytesParser().parsebytes(raw)
        sender, calendar = _sender(mail), _calendar(mail)
        named = str(mail.get("Message-ID", ""))
        proof = Authentication.UNCHECKED
        if authserv is not None:
            proof = authentication(((name, str(value)) for name, value in mail.items()), authserv, sender)
    except NotForUsError:
        raise
    except Exception as error:  # noqa: BLE001 - the sender wrote the mail, so the parser may raise anything
        raise NotForUsError(f"it cannot be read ({type(error).__name__})") from None
    content = "\0".join((named, sender, calendar, proof))
    digest = hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()
    return CalendarMail(uuid5(_NAMESPACE, digest), sender, calendar, proof)


def _sender(mail: Message) -> str:
    froms = [str(one) for one in mail.get_all("From", [])]
    addresses = [address for _, address in getaddresses(froms)]
    if len(froms) != 1 or len(addresses) != 1 or not _ADDRESS.fullmatch(addresses[0]):
        raise NotForUsError("it does not come from just one address")
    return addresses[0]


def _calendar(mail: Message) -> str:
    parts = list(_parts(mail))
    for content_type in _CALENDARS:
        for part in parts:
            if part.get_content_type() == content_type:
                return _text(part)
    raise NotForUsError("it carries no calendar")


def _parts(mail: Message) -> Iterator[Message]:
    for number, part in enumerate(mail.walk()):
        if number == _MOST_PARTS:
            raise NotForUsError(f"it has more than {_MOST_PARTS} parts")
        yield part


def _text(part: Message) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise NotForUsError("its calendar is no text")
    charset = part.get_content_charset("utf-8")
    try:
        text = content.decode(charset).replace("\0", "")
    except (LookupError, UnicodeDecodeError):
        text = content.decode("utf-8", "replace").replace("\0", "")
    text = _TEXTS.sub("", text)
    # A message has a limit in bytes, which only a text far longer than ours can reach.
    if len(text) > LONGEST_REPLY or len(json.dumps(text)) > MAX_REQUEST_BYTES - _OTHER_FIELDS:
        raise NotForUsError(f"its calendar is longer than {LONGEST_REPLY} characters")
    return text
