"""Signed links: a token is read back as its grant, and any other text is refused."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking_tasks.kit.settings import load_settings
from booking_tasks.kit.signed_links import TOKEN_CHARACTERS, Grant, Links, answer_message_id

LINKS = Links("https://booking.example.org/", "s" * 40)
UNTIL = datetime(2027, 3, 1, 10, 0, tzinfo=UTC)


def grant(**values: object) -> Grant:
    return Grant(**({"purpose": "answers", "subject": uuid4(), "person": uuid4(), "until": UNTIL} | values))  # type: ignore[arg-type]


@given(subject=st.uuids(), person=st.uuids(), seconds=st.integers(0, 200 * 366 * 86400))
def test_a_token_tells_what_was_granted_in_characters_that_no_mail_changes(
    subject: UUID, person: UUID, seconds: int
) -> None:
    made = grant(subject=subject, person=person, until=datetime.fromtimestamp(seconds, UTC))
    token = LINKS.token(made)

    assert LINKS.read("answers", token) == made
    assert len(token) == TOKEN_CHARACTERS
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert token == LINKS.token(made)


@given(place=st.integers(0, TOKEN_CHARACTERS - 1), other=st.sampled_from("ABCDabcd0189-_"))
def test_a_token_with_one_other_character_is_none(place: int, other: str) -> None:
    token = LINKS.token(grant())
    changed = token[:place] + other + token[place + 1 :]

    assert (LINKS.read("answers", changed) is None) == (changed != token)


def test_one_link_has_one_spelling() -> None:
    token = LINKS.token(grant())
    content = base64.urlsafe_b64decode(token + "=")
    spellings = {
        token[:-1] + last
        for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        if base64.urlsafe_b64decode(token[:-1] + last + "=") == content
    }

    assert len(spellings) > 1
    assert [one for one in spellings if LINKS.read("answers", one)] == [token]


@given(st.text(max_size=200))
def test_anything_else_is_none_and_no_error(text: str) -> None:
    assert LINKS.read("answers", text) is None
    assert LINKS.read("answers", text[:TOKEN_CHARACTERS].ljust(TOKEN_CHARACTERS, "ß")) is None


def test_a_token_serves_its_purpose_and_its_deployment_alone() -> None:
    token = LINKS.token(grant())

    assert LINKS.read("offers", token) is None
    assert replace(LINKS, secret="t" * 40).read("answers", token) is None


def test_a_grant_is_over_at_its_moment() -> None:
    assert not grant().is_expired(UNTIL - timedelta(microseconds=1))
    assert grant().is_expired(UNTIL)


def test_the_link_has_the_deployments_address_and_shows_its_secret_to_nobody() -> None:
    made = grant()

    assert LINKS.url("answers", made) == f"https://booking.example.org/answers/{LINKS.token(made)}"
    assert "ssss" not in repr(LINKS)


def test_the_same_answer_by_the_same_link_is_the_same_message() -> None:
    token, other = LINKS.token(grant()), LINKS.token(grant())

    assert answer_message_id(token, "accept") == answer_message_id(token, "accept")
    assert (
        len(
            {
                answer_message_id(token, "accept"),
                answer_message_id(token, "decline"),
                answer_message_id(other, "accept"),
            }
        )
        == 3
    )


def test_links_of_the_previous_secret_are_read_and_new_ones_signed_with_the_current() -> None:
    old, new, one = "o" * 40, "n" * 40, grant()
    before, after = Links("https://b.example.org", old), Links("https://b.example.org", new, old)
    assert after.read("answers", before.token(one)) == one
    assert after.token(one) == Links("https://b.example.org", new).token(one) != before.token(one)
    assert after.read("answers", after.token(one)) == one
    assert after.read("offers", before.token(one)) is None
    assert Links("https://b.example.org", new).read("answers", before.token(one)) is None
    assert Links("https://b.example.org", new, "x" * 40).read("answers", before.token(one)) is None
    assert old not in repr(after)


def test_the_previous_secret_is_a_setting() -> None:
    values = {"public_url": "https://b.example.org", "link_secret": "n" * 32}
    assert load_settings(values | {"link_secret_previous": ""}).links == Links(
        "https://b.example.org", "n" * 32
    )
    made = load_settings(values | {"link_secret_previous": "o" * 32}).links
    assert made == Links("https://b.example.org", "n" * 32, "o" * 32)


def test_without_an_address_there_are_no_links() -> None:
    assert load_settings({"public_url": ""}).links is None
    assert load_settings({"link_secret": "s" * 32}).links is None
    made = load_settings({"public_url": "https://b.example.org/x/", "link_secret": "s" * 32}).links
    assert made == Links("https://b.example.org/x", "s" * 32)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"BOOKING_PUBLIC_URL": "https://b.example.org"}, "BOOKING_LINK_SECRET: is needed"),
        (
            {"BOOKING_LINK_SECRET": "s" * 32, "BOOKING_LINK_SECRET_PREVIOUS": "s" * 32},
            "BOOKING_LINK_SECRET_PREVIOUS: is the same as BOOKING_LINK_SECRET",
        ),
        ({"BOOKING_LINK_SECRET_PREVIOUS": "short"}, "BOOKING_LINK_SECRET_PREVIOUS: must have at least 32"),
        ({"BOOKING_LINK_SECRET": "short"}, "BOOKING_LINK_SECRET: must have at least 32"),
        ({"BOOKING_PUBLIC_URL": "b.example.org"}, "BOOKING_PUBLIC_URL: must be an address such as https://"),
        ({"BOOKING_PUBLIC_URL": "https://b.example.org?x=1"}, "BOOKING_PUBLIC_URL: .*, without query"),
    ],
)
def test_a_wrong_setting_of_links_is_reported_at_start_without_the_secret(
    values: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(Exception, match=expected) as caught:
        load_settings()
    assert "short" not in str(caught.value)
