"""The calendar's bytes, rule by rule, read back by a strict reader of our own and by the library."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from booking_tasks.invites.calendar import calendar_part, uid
from booking_tasks.mail.calendar_copy import CalendarCopy, MailRecipient, Sender
from booking_tasks.mail.message import Mailbox, Method

SENDER = Sender(Mailbox("Consultations", "booking@example.org"), "booking.example.org")
MIRA = MailRecipient(Mailbox("Mira Lang", "mira@example.org"), "Europe/Vienna", "en")
LINK = "https://meet.example.org/rooms/1,2;3?a=b&c=d"
COPY = CalendarCopy(
    session_id=UUID("0190f3a0-0000-7000-8000-000000000001"),
    revision=3,
    revised_at=datetime(2027, 3, 1, 9, 0, 1, 987654, tzinfo=UTC),
    created_at=datetime(2027, 2, 1, 8, tzinfo=UTC),
    start=datetime(2027, 3, 28, 2, 30, tzinfo=timezone(timedelta(hours=2))),
    end=datetime(2027, 3, 28, 3, 30, tzinfo=timezone(timedelta(hours=2))),
    service="Algebra",
    recipient=MIRA,
    counterpart="Dr Okafor",
    join_url=LINK,
    details=None,
)
METHODS: tuple[Method, ...] = ("REQUEST", "CANCEL")
HOSTILE = "x\r\nATTENDEE:mailto:evil@x"
Property = tuple[str, dict[str, str], str]


def unfolded(content: bytes) -> list[str]:
    """Content lines (RFC 5545 section 3.1), refusing what the RFC does not allow."""
    assert content.endswith(b"\r\n")
    assert not content.startswith(b"\xef\xbb\xbf")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\r\n\r\n", content)
    lines: list[str] = []
    for raw in content[:-2].split(b"\r\n"):
        assert 0 < len(raw) <= 75
        line = raw.decode("utf-8", "strict")  # no fold inside a character
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", line)
        backslashes = len(line) - len(line.rstrip("\\"))
        assert backslashes % 2 == 0, "a fold inside an escape"
        if line.startswith(" "):
            lines[-1] += line[1:]
        else:
            lines.append(line)
    return lines


def properties(content: bytes) -> list[Property]:
    """Name, parameters and raw value of every line."""
    found = []
    for line in unfolded(content):
        match = re.fullmatch(r'([A-Z-]+)((?:;[A-Z-]+=(?:"[^"]*"|[^";:,]*))*):(.*)', line)
        assert match is not None, line
        pairs = re.findall(r';([A-Z-]+)=(?:"([^"]*)"|([^";:,]*))', match[2])
        found.append((match[1], {name: quoted or bare for name, quoted, bare in pairs}, match[3]))
    return found


def only(content: bytes, name: str) -> tuple[dict[str, str], str]:
    (found,) = [(parameters, value) for key, parameters, value in properties(content) if key == name]
    return found


def text(content: bytes, name: str) -> str:
    """A TEXT value, unescaped (RFC 5545 section 3.3.11)."""
    escapes = {"n": "\n", "N": "\n"}
    return re.sub(r"\\(.)", lambda match: escapes.get(match[1], match[1]), only(content, name)[1])


@pytest.mark.parametrize("method", METHODS)
def test_one_calendar_of_our_own_with_one_event_and_one_method(method: Method) -> None:
    found = properties(calendar_part(COPY, SENDER, method))
    names = [name for name, _, _ in found]
    event = names.index("BEGIN", 1)

    assert [value for name, _, value in found if name == "BEGIN"] == ["VCALENDAR", "VEVENT"]
    assert [value for name, _, value in found if name == "END"] == ["VEVENT", "VCALENDAR"]
    assert sorted(names[1:event]) == ["CALSCALE", "METHOD", "PRODID", "VERSION"]
    assert ("METHOD", {}, method) in found
    assert ("VERSION", {}, "2.0") in found
    assert ("CALSCALE", {}, "GREGORIAN") in found
    assert len(set(names) - {"BEGIN", "END"}) == len(names) - 4


def test_identity_and_revision_come_from_the_session_alone() -> None:
    content = calendar_part(COPY, SENDER, "REQUEST")

    assert only(content, "UID") == ({}, "0190f3a0-0000-7000-8000-000000000001@booking.example.org")
    assert only(content, "SEQUENCE") == ({}, "3")
    assert only(content, "DTSTAMP") == ({}, "20270301T090001Z")
    assert only(content, "LAST-MODIFIED") == ({}, "20270301T090001Z")
    assert only(content, "CREATED") == ({}, "20270201T080000Z")
    assert calendar_part(COPY, SENDER, "REQUEST") == content


def test_one_identity_and_organizer_over_the_whole_life() -> None:
    moved = replace(COPY, revision=4, start=COPY.start + timedelta(days=1), end=COPY.end + timedelta(days=1))
    life = [
        calendar_part(replace(COPY, revision=0), SENDER, "REQUEST"),
        calendar_part(moved, SENDER, "REQUEST"),
        calendar_part(replace(moved, revision=5), SENDER, "CANCEL"),
    ]

    assert {only(content, "UID")[1] for content in life} == {uid(COPY, SENDER)}
    assert {str(only(content, "ORGANIZER")) for content in life} == {
        str(({"CN": "Consultations"}, "mailto:booking@example.org"))
    }
    assert [only(content, "SEQUENCE")[1] for content in life] == ["0", "4", "5"]


@pytest.mark.parametrize("method", METHODS)
def test_times_are_utc_whatever_zone_they_came_in(method: Method) -> None:
    content = calendar_part(COPY, SENDER, method)

    assert only(content, "DTSTART") == ({}, "20270328T003000Z")
    assert only(content, "DTEND") == ({}, "20270328T013000Z")
    assert b"TZID" not in content


def test_the_recipient_is_the_only_attendee_and_must_answer() -> None:
    assert only(calendar_part(COPY, SENDER, "REQUEST"), "ATTENDEE") == (
        {
            "CUTYPE": "INDIVIDUAL",
            "ROLE": "REQ-PARTICIPANT",
            "PARTSTAT": "NEEDS-ACTION",
            "RSVP": "TRUE",
            "CN": "Mira Lang",
        },
        "mailto:mira@example.org",
    )


def test_the_organizer_is_a_bare_address_with_a_name_and_nothing_else() -> None:
    assert only(calendar_part(COPY, SENDER, "REQUEST"), "ORGANIZER") == (
        {"CN": "Consultations"},
        "mailto:booking@example.org",
    )


def test_an_invitation_carries_the_link_in_location_and_description() -> None:
    content = calendar_part(COPY, SENDER, "REQUEST")

    assert text(content, "LOCATION") == LINK
    assert LINK in text(content, "DESCRIPTION")
    assert only(content, "STATUS") == ({}, "CONFIRMED")
    assert only(content, "TRANSP") == ({}, "OPAQUE")
    assert only(content, "CLASS") == ({}, "PUBLIC")


def test_without_a_link_the_invitation_says_that_it_follows() -> None:
    content = calendar_part(replace(COPY, join_url=None), SENDER, "REQUEST")

    assert text(content, "LOCATION") == "Online, the link follows"
    assert "The link to join follows." in text(content, "DESCRIPTION")
    assert "None" not in content.decode()


def test_a_cancellation_keeps_what_the_reader_knows_it_by_and_has_no_link() -> None:
    content = calendar_part(COPY, SENDER, "CANCEL")

    assert only(content, "STATUS") == ({}, "CANCELLED")
    assert only(content, "DTSTART")[1] == "20270328T003000Z"
    assert text(content, "SUMMARY") == "Algebra with Dr Okafor"
    assert "meet.example.org" not in "".join(unfolded(content))
    assert only(content, "ATTENDEE")[1] == "mailto:mira@example.org"


@pytest.mark.parametrize("method", METHODS)
def test_no_alarm_is_ever_set(method: Method) -> None:
    assert b"VALARM" not in calendar_part(COPY, SENDER, method)


def test_the_texts_are_in_the_readers_language() -> None:
    german = replace(COPY, recipient=replace(MIRA, language="de"), join_url=None)

    assert text(calendar_part(german, SENDER, "REQUEST"), "SUMMARY") == "Algebra mit Dr Okafor"
    assert text(calendar_part(german, SENDER, "REQUEST"), "LOCATION") == "Online, der Link folgt"
    assert "wurde abgesagt" in text(calendar_part(german, SENDER, "CANCEL"), "DESCRIPTION")


@pytest.mark.parametrize("method", METHODS)
def test_hostile_text_adds_no_property(method: Method) -> None:
    usual = [name for name, _, _ in properties(calendar_part(replace(COPY, details="x"), SENDER, method))]
    evil = replace(
        COPY,
        service=HOSTILE,
        counterpart=HOSTILE,
        details=HOSTILE + "\r\n\r\nEND:VEVENT\x00\x07",
        recipient=replace(MIRA, mailbox=Mailbox(HOSTILE + '";X=1:', "mira@example.org")),
    )
    content = calendar_part(evil, SENDER, method)

    assert [name for name, _, _ in properties(content)] == usual
    assert only(content, "ATTENDEE")[1] == "mailto:mira@example.org"
    assert text(content, "SUMMARY") == "x ATTENDEE:mailto:evil@x with x ATTENDEE:mailto:evil@x"


def test_special_characters_are_escaped_exactly_once() -> None:
    content = calendar_part(replace(COPY, service=r"Beratung, Ana; C:\n", details="a\nb"), SENDER, "REQUEST")

    assert only(content, "SUMMARY")[1] == r"Beratung\, Ana\; C:\\n with Dr Okafor"
    assert text(content, "DESCRIPTION").endswith("What it is about:\na\nb")


def test_a_name_with_quotes_and_separators_stays_one_parameter() -> None:
    reader = replace(MIRA, mailbox=Mailbox('Doe, "J": Dr;', "mira@example.org"))
    content = calendar_part(replace(COPY, recipient=reader), SENDER, "REQUEST")

    assert only(content, "ATTENDEE")[0]["CN"] == "Doe, 'J': Dr;"
    parsed = Calendar.from_ical(content).walk("VEVENT")[0]["ATTENDEE"]
    assert parsed.params["CN"] == "Doe, 'J': Dr;"


@pytest.mark.parametrize("letters", ["ü", "漢", "😀", "a\\", ",", "\\" * 3, "👩‍👩‍👧"])
@pytest.mark.parametrize("shift", range(4))
def test_long_titles_fold_on_octets_but_never_inside_a_character_or_an_escape(
    letters: str, shift: int
) -> None:
    title = "x" * shift + letters * (200 // len(letters))
    content = calendar_part(replace(COPY, service=title, counterpart="Z"), SENDER, "REQUEST")

    assert text(content, "SUMMARY") == f"{title} with Z"
    assert str(Calendar.from_ical(content).walk("VEVENT")[0]["SUMMARY"]) == f"{title} with Z"


LINES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=120).map(
    lambda line: " ".join(line.split())
)


@given(service=LINES.filter(bool), counterpart=LINES.filter(bool), details=LINES.filter(bool))
def test_any_text_comes_back_as_it_was_meant(service: str, counterpart: str, details: str) -> None:
    content = calendar_part(
        replace(COPY, service=service, counterpart=counterpart, details=details), SENDER, "REQUEST"
    )

    assert text(content, "SUMMARY") == f"{service} with {counterpart}"
    assert text(content, "DESCRIPTION").endswith(f"What it is about:\n{details}")
