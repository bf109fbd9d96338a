"""The bytes of a mail (RFC 5322, 2045 to 2047, 6047). Pure: the same input gives the same bytes.

Written out here rather than by the standard library's generator, whose folding and line endings
differ between Python versions: a repeated mail must be identical byte by byte.
"""

from __future__ import annotations

import base64
import hashlib
import quopri
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal

Method = Literal["REQUEST", "CANCEL"]

_ADDRESS = re.compile(r"[^\s@<>,;:\"\\()\[\]]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+")
_FORBIDDEN = {"Cc", "Cs", "Zl", "Zp"}
#: 39 octets become a word of 64 characters: with the header's name within RFC 2047's 76.
_WORD_OCTETS = 39


class MailError(ValueError):
    """A mail that must not be composed; the message names the field, never its content."""


@dataclass(frozen=True)
class Mailbox:
    """One person's or service's address, with the name shown beside it."""

    name: str
    address: str


def message_id(key: str, domain: str) -> str:
    """The Message-ID of the mail with this key: the same key, the same id."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def compose(
    sender: Mailbox,
    recipient: Mailbox,
    subject: str,
    text: str,
    html: str,
    calendar: bytes | None,
    method: Method | None,
    message_id: str,
    date: datetime,
) -> bytes:
    """Compose one mail to one mailbox; CRLF throughout.

    With a calendar part, the shape that calendar clients act on (RFC 6047 section 2.4): the part
    itself as an alternative, with METHOD as a parameter, and a copy as an attachment. Raises
    MailError for an unusable address and for a control character or `=?` in a header value.
    """
    if (calendar is None) != (method is None):
        raise MailError("a calendar part and its method come together")
    head = (
        f"From: {_mailbox('From', sender)}",
        f"To: {_mailbox('To', recipient)}",
        f"Subject: {_unstructured('Subject', subject)}",
        f"Date: {format_datetime(date.astimezone(UTC))}",
        f"Message-ID: {_checked('Message-ID', message_id)}",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
    )
    return _lines(head) + _body(text, html, calendar, method, seed=message_id)


def _body(text: str, html: str, calendar: bytes | None, method: Method | None, seed: str) -> bytes:
    boundary = hashlib.sha256(seed.encode()).hexdigest()[:32]
    parts = [_readable("plain", text), _readable("html", html)]
    if calendar is not None:
        parts.append(_encoded(f"text/calendar; charset=utf-8; method={method}", calendar))
    body = _multipart("alternative", f"=_a{boundary}", parts)
    if calendar is not None:
        copy = _encoded(
            'application/ics; name="invite.ics"',
            calendar,
            'Content-Disposition: attachment; filename="invite.ics"',
        )
        body = _multipart("mixed", f"=_m{boundary}", [body, copy])
    return body


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _readable(subtype: str, text: str) -> bytes:
    # The quoted-printable coder treats CRLF input as text lines and leaves them as they are.
    normal = "".join(f"{line}\r\n" for line in text.splitlines())
    return (
        _lines(
            (f"Content-Type: text/{subtype}; charset=utf-8", "Content-Transfer-Encoding: quoted-printable")
        )
        + b"\r\n"
        + quopri.encodestring(normal.encode())
    )


def _encoded(content_type: str, content: bytes, *more: str) -> bytes:
    return (
        _lines((f"Content-Type: {content_type}", "Content-Transfer-Encoding: base64", *more))
        + b"\r\n"
        + base64.encodebytes(content).replace(b"\n", b"\r\n")
    )


def _multipart(subtype: str, boundary: str, parts: list[bytes]) -> bytes:
    # Neither base64 nor quoted-printable can contain "=_", so the boundary never occurs in a part.
    mark = f"--{boundary}".encode()
    head = _lines((f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"',))
    return head + b"".join(b"\r\n" + mark + b"\r\n" + part for part in parts) + b"\r\n" + mark + b"--\r\n"


def _checked(name: str, value: str) -> str:
    if "=?" in value or any(unicodedata.category(character) in _FORBIDDEN for character in value):
        raise MailError(f"{name}: control characters and '=?' are not allowed")
    return value


def _mailbox(header: str, mailbox: Mailbox) -> str:
    if not mailbox.address.isascii() or not _ADDRESS.fullmatch(mailbox.address):
        raise MailError(f"{header}: not one plain ASCII address")
    name = _checked(header, mailbox.name)
    if not name:
        return f"<{_checked(header, mailbox.address)}>"
    if _short_ascii(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        shown = f'"{escaped}"'
    else:
        shown = _rfc2047(name)
    return f"{shown}\r\n <{_checked(header, mailbox.address)}>"


def _unstructured(header: str, value: str) -> str:
    value = _checked(header, value)
    return value if _short_ascii(value) else _rfc2047(value)


def _short_ascii(value: str) -> bool:
    return value.isascii() and len(value) <= 60 and value == value.strip()


def _rfc2047(value: str) -> str:
    """RFC 2047 encoded words, one on each line, with whole characters."""
    chunks, chunk = [], b""
    for character in value:
        octets = character.encode()
        if len(chunk) + len(octets) > _WORD_OCTETS:
            chunks.append(chunk)
            chunk = b""
        chunk += octets
    chunks.append(chunk)
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(chunk).decode()}?=" for chunk in chunks)
