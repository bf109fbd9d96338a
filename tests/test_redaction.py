"""A redacted message or error contains no personal data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from booking_tasks.kit.database import transaction
from booking_tasks.kit.redaction import redacted


@pytest.mark.parametrize("value", ["Mira", "+436601234567", "mira@example.org", "Vienna", "two words", "ill"])
def test_free_text_becomes_its_length_even_when_it_is_one_word(value: str) -> None:
    assert redacted({"field": [value]}) == {"field": [f"<{len(value)} characters>"]}


@pytest.mark.parametrize(
    "value",
    [
        "0f5cd4c1-7d0e-4a52-9f0b-3f6a3c1f2b7d",
        "2027-03-01",
        "2027-03-01T09:00:00+01:00",
        "09:30",
        "45.00",
        "scheduled",
        "requester",
        7,
        None,
    ],
)
def test_ids_times_amounts_and_states_stay(value: Any) -> None:
    assert redacted(value) == value


def test_names_of_fields_that_are_none_are_measured_too() -> None:
    assert redacted({"mira@example.org": 1, "name": 2}) == {"<16 characters>": 1, "name": 2}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, -(10**20), 1e300])
def test_a_number_that_cannot_be_stored_is_replaced_by_its_type(value: float) -> None:
    assert json.dumps(redacted(value)) == '"<a number>"'


@pytest.mark.usefixtures("own_database")
def test_an_error_of_the_database_says_what_was_wrong_and_quotes_no_row() -> None:
    insert = text(
        "INSERT INTO directory_users (user_id, name, email) VALUES (gen_random_uuid(), :name, NULL)"
    )
    with pytest.raises(IntegrityError) as caught, transaction() as db:
        db.execute(insert, {"name": "Mira Lang"})
    message = f"{caught.value} {caught.value.orig} {caught.value.args}"
    assert 'null value in column "email"' in message
    assert "Mira" not in message
