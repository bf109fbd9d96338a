"""A letter's bytes, read back by the standard library's parser."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import compat32, default
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking_tasks.mail.message import Mailbox, MailError, compose, message_id

SENDER = Mailbox("Consultations", "booking@example.org")
MIRA = Mailbox("Mira Lang", "mira@example.org")
ICS = b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"
#: What a name or subject may hold: one line of printable text, without the start of an encoded word.
LINES = (
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=200)
    .map(lambda text: " ".join(text.split()))
    .filter(lambda text: text and "=?" not in text)
)


def write(**values: Any) -> bytes:
    usual: dict[str, Any] = {
        "sender": SENDER,
        "recipient": MIRA,
        "subject": "Algebra with Dr Okafor",
        "text": "Hello,\n\nlink\n",
        "html": "<p>Hello</p>\n",
        "calendar": ICS,
        "method": "REQUEST",
        "message_id": message_id("a key", "booking.example.org"),
        "date": datetime(2027, 3, 1, 9, tzinfo=UTC),
    }
    return compose(**(usual | values))


def read(raw: bytes) -> EmailMessage:
    parsed = message_from_bytes(raw, policy=default)
    assert isinstance(parsed, EmailMessage)
    assert [defect for part in parsed.walk() for defect in part.defects] == []
    return parsed


def test_the_calendar_is_an_alternative_with_a_copy_attached() -> None:
    mixed = read(write())
    alternative, copy = mixed.iter_parts()

    assert mixed.get_content_type() == "multipart/mixed"
    assert alternative.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in alternative.iter_parts()] == [
        "text/plain",
        "text/html",
        "text/calendar",
    ]
    calendar = list(alternative.iter_parts())[2]
    assert (calendar.get_param("method"), calendar.get_param("charset")) == ("REQUEST", "utf-8")
    assert not calendar.is_attachment()
    assert copy.get_content_type() == "application/ics"
    assert copy.is_attachment()
    assert copy.get_filename() == "invite.ics"
    assert calendar.get_payload(decode=True) == copy.get_payload(decode=True) == ICS


def test_without_a_calendar_there_are_two_alternatives_and_no_attachment() -> None:
    mail = read(write(calendar=None, method=None))

    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


def test_every_line_ends_in_crlf_and_every_octet_is_plain_ascii() -> None:
    raw = write(subject="Prüfung 漢字 😀", text="Grüße\r漢字 😀\n.\n" + "long " * 100, html="<p>ü\n</p>")

    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert raw.endswith(b"\r\n")
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 78


def test_text_and_html_come_back_as_they_were() -> None:
    text = "Grüße = gut \nein Ende mit Leerzeichen \n.\n\n漢字 😀 " + "lang " * 60 + "\n"
    mail = read(write(text=text, html=text))

    for subtype in ("plain", "html"):
        body = mail.get_body((subtype,))
        assert body is not None
        assert body.get_content().replace("\r\n", "\n") == text


def test_the_same_mail_is_the_same_bytes() -> None:
    assert write() == write()


def test_the_message_id_belongs_to_the_key() -> None:
    assert message_id("a", "example.org") == message_id("a", "example.org")
    assert message_id("a", "example.org") != message_id("b", "example.org")
    assert re.fullmatch(r"<[0-9a-f]{40}@example\.org>", message_id("a", "example.org"))


def test_the_headers_say_who_whom_when_and_that_a_machine_wrote() -> None:
    mail = read(write())

    assert mail["From"] == "Consultations <booking@example.org>"
    assert mail["To"] == "Mira Lang <mira@example.org>"
    assert mail["Date"] == "Mon, 01 Mar 2027 09:00:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == message_id("a key", "booking.example.org")
    assert {"cc", "bcc", "reply-to"} & {name.lower() for name in mail} == set()


@given(name=LINES, subject=LINES)
def test_any_printable_name_and_subject_survives(name: str, subject: str) -> None:
    raw = write(recipient=Mailbox(name, "mira@example.org"), subject=subject)
    # Not the newer parser: it puts blanks between the encoded words of a name (RFC 2047 section 6.2).
    mail = message_from_bytes(raw, policy=compat32)

    shown, address = parseaddr(str(mail["To"]))
    assert (str(make_header(decode_header(shown))), address) == (name, "mira@example.org")
    assert str(make_header(decode_header(str(mail["Subject"])))) == subject
    assert max(len(line) for line in raw.partition(b"\r\n\r\n")[0].split(b"\r\n")) <= 78


@pytest.mark.parametrize(
    "hostile",
    [
        "x\r\nBcc: evil@example.org",
        "x\nBcc: e@example.org",
        "x\rB: y",
        "=?utf-8?q?=0A?=",
        "a\x00b",
        "a\u2028b",
    ],
)
def test_a_header_value_that_could_start_another_is_refused(hostile: str) -> None:
    for values in (
        {"subject": hostile},
        {"recipient": Mailbox(hostile, "mira@example.org")},
        {"sender": Mailbox(hostile, "booking@example.org")},
        {"message_id": hostile},
    ):
        with pytest.raises(MailError) as refused:
            write(**values)
        assert hostile not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "a@example.org, b@example.org",
        "Mira <mira@example.org>",
        "mira@example.org\r\nBcc: evil@example.org",
        "mira",
        "@example.org",
        "mira@",
        "müra@example.org",
        "=?utf-8?q?x?=@example.org",
        "",
    ],
)
def test_only_one_plain_address_is_written_to(address: str) -> None:
    with pytest.raises(MailError):
        write(recipient=Mailbox("Mira", address))


def test_a_calendar_part_never_goes_without_its_method() -> None:
    with pytest.raises(MailError):
        write(method=None)
