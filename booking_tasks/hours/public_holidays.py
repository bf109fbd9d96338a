"""Public holidays of a country or a part of one (ISO 3166), from the library `holidays`."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import holidays


def is_known(region: str) -> bool:
    """Whether the library knows the region, like AT or DE-BY."""
    country, _, part = region.partition("-")
    known = holidays.list_supported_countries(include_aliases=True)
    return country in known and (not part or part in known[country])


def public_holidays(region: str | None, first: date, last: date) -> frozenset[date]:
    """The public holidays from `first` to `last`; empty without a region or for an unknown one."""
    if region is None or not is_known(region):
        return frozenset()
    years = range(first.year, last.year + 1)
    return frozenset(day for year in years for day in _of_year(region, year) if first <= day <= last)


@lru_cache(maxsize=2048)
def _of_year(region: str, year: int) -> frozenset[date]:
    country, _, part = region.partition("-")
    found = holidays.country_holidays(country, subdiv=part or None, years=year, expand=False)
    return frozenset(found)
