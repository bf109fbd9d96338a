"""What is read of calendar texts and mails that anybody may write."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Event

from booking_tasks.calendars.sandbox import SandboxLimits
from booking_tasks.contracts.replies import LONGEST_REPLY, ReceiveReply
from booking_tasks.enums import RefusalCode, ReplyAnswer
from booking_tasks.replies import sandbox
from booking_tasks.replies.mail import LARGEST_MAIL, NotForUsError
from booking_tasks.replies.mail import read as read_mail
from booking_tasks.replies.reading import read
from booking_tasks.replies.rules import (
    Rejected,
    Reply,
    answered_at,
    entry_of,
    is_from,
    is_overtaken,
    is_stale,
)
from tests.replies.mails import UID_DOMAIN, WEBER, calendar, mail

ENTRY = uuid4()
ALARM = ("BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT10M", "END:VALARM")


def reply(content: str) -> Reply:
    found = read(content.encode())
    assert isinstance(found, Reply), found
    return found


def code(content: str) -> str:
    found = read(content.encode())
    assert isinstance(found, Rejected), found
    return found.code


@pytest.mark.parametrize(
    ("partstat", "answer"),
    [
        ("ACCEPTED", "accepted"),
        ("declined", "declined"),
        ("TENTATIVE", "tentative"),
        ("NEEDS-ACTION", None),
        ("DELEGATED", None),
    ],
)
def test_a_reply_says_which_entry_who_and_what(partstat: str, answer: str | None) -> None:
    assert reply(calendar(ENTRY, partstat, sequence=3)) == Reply(
        f"{ENTRY}@{UID_DOMAIN}",
        3,
        (WEBER,),
        ReplyAnswer(answer) if answer else None,
        datetime(2027, 3, 1, 9, 5, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("stamp", "answered_at"),
    [
        ("20270301T090500", datetime(2027, 3, 1, 9, 5, tzinfo=UTC)),
        (None, None),
        ("20270301", None),
        ("soon", None),
        ("00010101T000000Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_dtstamp_is_read_in_utc_or_is_missing(stamp: str | None, answered_at: datetime | None) -> None:
    assert reply(calendar(ENTRY, stamp=stamp)).answered_at == answered_at


def test_of_two_answers_the_later_wins_and_in_one_second_the_more_cautious() -> None:
    early, late = datetime(2027, 3, 1, 9, tzinfo=UTC), datetime(2027, 3, 1, 10, tzinfo=UTC)
    order = [ReplyAnswer.ACCEPTED, ReplyAnswer.TENTATIVE, ReplyAnswer.DECLINED]
    for bold, cautious in pairwise(order):
        assert is_overtaken(cautious, early, bold, late)
        assert not is_overtaken(bold, late, cautious, early)
        assert is_overtaken(bold, late, cautious, late)
        assert not is_overtaken(cautious, late, bold, late)


def test_a_clock_that_is_days_ahead_is_not_believed() -> None:
    now = datetime(2027, 3, 1, 9, tzinfo=UTC)
    found = reply(calendar(ENTRY, stamp="20270302T085900Z"))
    assert answered_at(found, now) == datetime(2027, 3, 2, 8, 59, tzinfo=UTC)
    assert answered_at(reply(calendar(ENTRY, stamp="21990301T090500Z")), now) == now
    assert answered_at(reply(calendar(ENTRY, stamp=None)), now) == now


@pytest.mark.parametrize(
    "content",
    [
        calendar(ENTRY, attendee='ATTENDEE;PARTSTAT={answer};CN="Weber, Dr":MAILTO:Weber@Example.org'),
        calendar(ENTRY, attendee=f"ATTENDEE;EMAIL={WEBER};PARTSTAT={{answer}}:urn:uuid:1"),
        calendar(ENTRY, sequence=None),
        calendar(ENTRY, more=ALARM),
        calendar(ENTRY, more=("DTSTART;TZID=Nowhere/Nothing:20270302T100000", "COMMENT:gladly")),
        calendar(ENTRY).replace("\r\n", "\n"),
        "\ufeff" + calendar(ENTRY),
    ],
    ids=["upper case", "address as a parameter", "no sequence", "an alarm", "an unknown zone", "LF", "a BOM"],
)
def test_the_habits_of_programs_are_not_minded(content: str) -> None:
    found = reply(content)

    assert found.answer == ReplyAnswer.ACCEPTED
    assert is_from(found, "Weber@example.org", WEBER)
    assert entry_of(found.uid, UID_DOMAIN) == ENTRY


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "unreadable"),
        ("hello", "unreadable"),
        (calendar(ENTRY)[:-20], "unreadable"),
        (calendar(ENTRY, more=("BEGIN:VALARM", "END:VALARM") * 30), "unreadable"),
        (calendar(ENTRY, sequence=0).replace("SEQUENCE:0", "SEQUENCE:x"), "unreadable"),
        (calendar(ENTRY, method="COUNTER"), "counter_proposal"),
        (calendar(ENTRY, method="REQUEST"), "not_a_reply"),
        (calendar(ENTRY, method="CANCEL"), "not_a_reply"),
        (calendar(ENTRY, method=None), "not_a_reply"),
        (calendar(ENTRY) + calendar(ENTRY), "not_a_reply"),
        (calendar(ENTRY, more=("RECURRENCE-ID:20270301T100000Z",)), "not_a_reply"),
        (calendar(ENTRY, more=("ATTENDEE:mailto:other@example.org",)), "not_a_reply"),
        (calendar(ENTRY, attendee="X-NOBODY:1"), "not_a_reply"),
        (calendar(ENTRY, more=("END:VEVENT", "BEGIN:VEVENT", "UID:2")), "not_a_reply"),
    ],
)
def test_what_is_no_reply_is_refused_with_its_reason(content: str, expected: str) -> None:
    assert code(content) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.integers(0, 300), st.integers(0, 300))
def test_any_text_is_read_or_refused_and_never_an_error(text: str, start: int, end: int) -> None:
    whole = calendar(ENTRY)
    for content in (text, whole[:start] + text + whole[end:], whole.replace("ACCEPTED", text)):
        assert isinstance(read(content.encode("utf-8", "replace")), (Reply, Rejected))


def test_a_reply_that_recurs_every_second_is_answered_at_once_in_a_process_of_its_own() -> None:
    began = time.monotonic()
    found = sandbox.read(calendar(ENTRY, more=("DTSTART:19700101T000000Z", "RRULE:FREQ=SECONDLY")))

    assert isinstance(found, Reply)
    assert time.monotonic() - began < 20
    assert found == reply(calendar(ENTRY))


def test_a_process_that_takes_too_much_is_a_refusal_and_so_is_garbage() -> None:
    assert sandbox.read(calendar(ENTRY), SandboxLimits(cpu=3, wall=0.01, memory=512 << 20)) == Rejected(
        RefusalCode.UNREADABLE,
        "reading it takes too much time or memory, as with a rule that recurs every second",
    )
    garbage = sandbox.read("\udcff" * 10)
    assert isinstance(garbage, Rejected)


def test_whose_and_how_old() -> None:
    found = reply(calendar(ENTRY, sequence=1))

    assert is_from(found, WEBER, WEBER)
    assert not is_from(found, "other@example.org", WEBER)
    assert not is_from(found, WEBER, "other@example.org")
    assert [is_stale(found, revision) for revision in (0, 1, 2)] == [False, False, True]
    assert entry_of(f"{ENTRY}@elsewhere.example.org", UID_DOMAIN) is None
    assert entry_of(f"x@{UID_DOMAIN}", UID_DOMAIN) is None
    assert entry_of(f"{ENTRY}@{UID_DOMAIN.upper()}", UID_DOMAIN) == ENTRY


# -- the mail around it ---------------------------------------------------------------------------------


def test_a_mail_gives_sender_and_calendar_and_the_same_mail_is_the_same_message() -> None:
    content = calendar(ENTRY)
    first, again = (read_mail(received + mail(content), None) for received in (b"", b"Received: from x\r\n"))

    assert (first.sender, first.calendar, first.authentication) == (WEBER, content, "unchecked")
    assert first == again
    assert read_mail(mail(content, Reply_To="x@example.org"), None).sender == WEBER
    assert read_mail(mail(calendar(ENTRY, "DECLINED")), None).message_id != first.message_id
    assert content not in repr(first)


@pytest.mark.parametrize("subtype", ["calendar", "ics"])
def test_a_calendar_that_comes_alone_is_found_too(subtype: str) -> None:
    content_type = "text/calendar; charset=utf-8" if subtype == "calendar" else "application/ics"
    raw = f"From: {WEBER}\r\nContent-Type: {content_type}\r\n\r\n{calendar(ENTRY)}".encode()

    assert read_mail(raw, None).calendar == calendar(ENTRY)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff" * 1000,
        b"From: a@example.org\r\n\r\nHello, when is it?",
        b"From: a@example.org, b@example.org\r\nContent-Type: text/calendar\r\n\r\nx",
        b"From: a@example.org\r\nFrom: b@example.org\r\nContent-Type: text/calendar\r\n\r\nx",
        b"From: nobody\r\nContent-Type: text/calendar\r\n\r\nx",
        b"Content-Type: text/calendar\r\n\r\nx",
        b"From: a@example.org\r\nContent-Type: text/calendar\r\n\r\n" + b"x" * (LONGEST_REPLY + 1),
        b"From: a@example.org\r\nContent-Type: text/calendar\r\n\r\n" + "漢".encode() * (LONGEST_REPLY + 1),
        b"From: a@example.org\r\n\r\n" + b"x" * LARGEST_MAIL,
        b"From: a@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\n\r\n\r\n" * 100,
    ],
)
def test_a_mail_that_is_not_for_this_service_is_reported_without_quoting_it(raw: bytes) -> None:
    with pytest.raises(NotForUsError) as caught:
        read_mail(raw, None)
    assert "example.org" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
@pytest.mark.parametrize("details", ["я" * 7_500, "漢" * 10_000, "🎓" * 10_000, ",;\n" * 3_333, "=" * 10_000])
@pytest.mark.parametrize("answer", ["ACCEPTED", "DECLINED"])
def test_whatever_we_sent_may_come_back_in_any_encoding(encoding: str, details: str, answer: str) -> None:
    event = Event.from_ical(f"BEGIN:VEVENT\r\nUID:{ENTRY}@{UID_DOMAIN}\r\nEND:VEVENT\r\n")
    event.add("description", details)
    event.add("x-alt-desc", f"<p>{details}</p>".replace("\n", "<br>"))
    texts = event.to_ical().decode().splitlines()[1:-1]
    content = calendar(ENTRY, answer, more=tuple(one for one in texts if not one.startswith("UID")))
    made = EmailMessage(policy=SMTP)
    made["From"] = WEBER
    made.set_content(details, cte=encoding)
    made.add_attachment(mail(calendar(ENTRY)), maintype="application", subtype="octet-stream")
    made.add_attachment(
        content.encode(), maintype="text", subtype="calendar", cte=encoding, params={"method": "REPLY"}
    )
    made.add_attachment(content.encode(), maintype="application", subtype="ics", cte=encoding)
    found = read_mail(made.as_bytes(), None)
    command = ReceiveReply(message_id=uuid4(), actor="gateway", sender=found.sender, calendar=found.calendar)
    assert reply(command.calendar) == reply(calendar(ENTRY, answer))
    assert reply(command.calendar) == reply(content)


def test_a_calendar_as_we_sent_it_fits_into_a_message_without_the_gateway() -> None:
    event = Event()
    event.add("description", ",;" * 5_000)
    content = calendar(ENTRY, more=tuple(event.to_ical().decode().splitlines()[1:-1]))
    command = ReceiveReply(message_id=uuid4(), actor="gateway", sender=WEBER, calendar=content)
    assert reply(command.calendar) == reply(calendar(ENTRY))


def test_a_calendar_too_large_for_a_message_is_not_for_us() -> None:
    raw = mail(calendar(ENTRY, more=(f"X-NOTE:{'🎓' * 14_000}",)))
    with pytest.raises(NotForUsError, match="longer than"):
        read_mail(raw, None)


def test_mails_nested_without_end_are_no_error() -> None:
    raw = b"From: a@example.org\r\n"
    for number in range(3000):
        raw += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number)
    with pytest.raises(NotForUsError):
        read_mail(raw, None)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=500))
def test_any_bytes_are_a_mail_or_not_for_us(raw: bytes) -> None:
    for one in (raw, mail(calendar(ENTRY))[:200] + raw):
        try:
            assert read_mail(one, None).sender
        except NotForUsError:
            continue
