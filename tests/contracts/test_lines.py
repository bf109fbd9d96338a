"""The one-line fields of all contracts: which characters they take, and what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args
from uuid import uuid4

import pytest
from pydantic import TypeAdapter, ValidationError

from booking_tasks.contracts import PUBLIC, SetSpecializationAliases, UpsertUser
from booking_tasks.contracts.base import Contract, Line

LINES = TypeAdapter(Line)


def person(name: str) -> UpsertUser:
    fields = {"email": "mira@example.org", "time_zone": "Europe/Vienna"}
    return UpsertUser.model_validate(
        {"message_id": uuid4(), "actor": "iam", "user_id": uuid4(), "name": name, **fields}
    )


def refused_fields(error: ValidationError) -> list[tuple[Any, ...]]:
    return [problem["loc"] for problem in error.errors()]


@pytest.mark.parametrize(
    "name",
    [
        "علی\u200cرضا",
        "क्\u200dष",
        "Mira \N{WOMAN}\u200d\N{PERSONAL COMPUTER}",
        "\N{WAVING BLACK FLAG}\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "\N{RAINBOW}\ufe0f",
        "דוד\u200f",
        "مريم\u061c",
        "Zoë Ångström",
    ],
)
def test_a_name_keeps_the_joiners_and_marks_that_its_script_needs(name: str) -> None:
    assert person(name).name == name


@pytest.mark.parametrize(
    "space", ["\u00a0", "\u3000", "\u202f", "\u2009", "\u2002", "\u2007", "\u1680", "\u205f"]
)
def test_every_space_is_stored_as_a_plain_one(space: str) -> None:
    assert person(f"{space}山田{space}太郎{space}").name == "山田 太郎"


@pytest.mark.parametrize(
    "character",
    [
        *("\r", "\n", "\t", "\0", "\x1f", "\x7f", "\x85", "\x9f", "\u2028", "\u2029"),
        *("\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"),
        *("\ufeff", "\ufff9", "\ue000"),
    ],
)
def test_control_characters_and_changes_of_direction_are_refused_by_the_name_of_the_field(
    character: str,
) -> None:
    with pytest.raises(ValidationError) as refused:
        person(f"Mira{character}Lang")
    assert refused_fields(refused.value) == [("name",)]


@pytest.mark.parametrize("line", ["", " ", "\u00a0", "\u200d", "\u200c \u200d", "\u0301"])
def test_a_line_without_a_visible_character_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        LINES.validate_python(line)


def test_an_element_of_a_list_is_named_by_its_place() -> None:
    with pytest.raises(ValidationError) as refused:
        SetSpecializationAliases.model_validate(
            {
                "message_id": uuid4(),
                "actor": "iam",
                "aliases": [{"alias": "\u202ea", "specialization": "b\u00a0c"}],
            }
        )
    assert refused_fields(refused.value) == [("aliases", 0, "alias")]


def _fields(contract: type[Contract]) -> Iterator[tuple[str, Any]]:
    for name, field in contract.model_fields.items():
        yield name, field
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, Contract):
                yield from _fields(part)


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def test_no_text_of_a_message_is_taken_without_a_form() -> None:
    unchecked = [
        f"{contract.task}: {name}"
        for contract in PUBLIC.values()
        for name, field in _fields(contract)
        if field.annotation in (str, str | None) and not field.metadata
    ]
    assert unchecked == []
