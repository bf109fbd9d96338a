"""The table of currencies is the published list, and amounts are exact in each currency's smallest unit."""

from __future__ import annotations

from decimal import Decimal
from importlib.resources import files
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking_tasks.kit.currencies import MINOR_UNITS, amount_of, minor_units


def test_the_table_is_list_one_of_iso_4217() -> None:
    listed = {
        entry.findtext("Ccy"): entry.findtext("CcyMnrUnts")
        for entry in ET.fromstring(files("iso4217").joinpath("table.xml").read_bytes()).iter("CcyNtry")
    }
    published = {code: int(unit) for code, unit in listed.items() if unit and unit.isdigit()}
    assert published == MINOR_UNITS


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("10.50", "EUR", 1050),
        ("1000", "JPY", 1000),
        ("1.234", "KWD", 1234),
        ("0", "EUR", 0),
        ("7.0", "JPY", 7),
    ],
)
def test_an_amount_in_smallest_units(amount: str, currency: str, units: int) -> None:
    assert minor_units(Decimal(amount), currency) == units


@pytest.mark.parametrize(("amount", "currency"), [("10.505", "EUR"), ("0.5", "JPY"), ("1.2345", "KWD")])
def test_an_amount_with_more_decimals_than_the_currency_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match=f"at most {MINOR_UNITS[currency]} decimals in {currency}"):
        minor_units(Decimal(amount), currency)


@given(st.integers(0, 10**12), st.sampled_from(sorted(MINOR_UNITS)))
def test_smallest_units_and_amounts_are_one_to_one(units: int, currency: str) -> None:
    amount = amount_of(units, currency)
    assert minor_units(amount, currency) == units
    assert -amount.as_tuple().exponent == MINOR_UNITS[currency]  # type: ignore[operator]
