"""The active currencies of ISO 4217 with their minor units.

Source: list one of ISO 4217 as published by SIX on 2026-01-01, from the package iso4217 1.16.20260101, which
`tests/kit/test_currencies.py` compares. A code without a minor unit (gold, test codes, no currency) charges
nobody and is left out. A code that a newer list drops must stay readable where an amount is stored.
"""

from __future__ import annotations

from decimal import Decimal

_BY_MINOR_UNIT: dict[int, str] = {
    0: ("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF "),
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF "
        "CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD "
        "GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL "
        "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR "
        "PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP "
        "TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG "
    ),
    3: ("BHD IQD JOD KWD LYD OMR TND "),
    4: ("CLF UYW "),
}

#: The number of decimals that an amount in each currency has, by its alphabetic code.
MINOR_UNITS: dict[str, int] = {code: unit for unit, codes in _BY_MINOR_UNIT.items() for code in codes.split()}


def minor_units(amount: Decimal, currency: str) -> int:
    """Return an amount in the smallest units of its currency, such as 1050 for 10.50 EUR.

    Raises ValueError when it has more decimals than the currency.
    """
    scaled = amount.scaleb(MINOR_UNITS[currency])
    if scaled != scaled.to_integral_value():
        raise ValueError(f"must have at most {MINOR_UNITS[currency]} decimals in {currency}")
    return int(scaled)


def amount_of(units: int, currency: str) -> Decimal:
    """Return the amount of so many smallest units, with the decimals of its currency."""
    return Decimal(units).scaleb(-MINOR_UNITS[currency])
