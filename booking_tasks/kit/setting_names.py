"""Names of variables in the environment that look like settings and are none. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

#: Only names that begin so are compared. Celery's own variables are checked elsewhere (ops/check.py).
_PREFIXES = ("BOOKING_", "DATABASE_", "REDIS_")
#: A name that differs from a setting by this many letters or fewer is taken for a misspelt one.
_MISSPELT = 2


def unknown_names(environment: Iterable[str], known: frozenset[str]) -> list[str]:
    """Return the names with a prefix of this service that are no settings of this release."""
    return sorted(name for name in environment if name.startswith(_PREFIXES) and name not in known)


@cache
def meant(name: str, known: frozenset[str]) -> str | None:
    """Return the setting whose name was misspelt as `name`, or None."""
    similar = (one for one in known if abs(len(one) - len(name)) <= _MISSPELT)
    count, nearest = min(((edits(name, one), one) for one in similar), default=(_MISSPELT + 1, ""))
    return nearest if count <= _MISSPELT else None


def edits(one: str, other: str) -> int:
    """Return how many letters must be inserted, removed or replaced to make one name the other."""
    row = list(range(len(other) + 1))
    for position, left in enumerate(one, 1):
        above, row = row, [position]
        for column, right in enumerate(other, 1):
            replaced = above[column - 1] + (left != right)
            row.append(min(above[column] + 1, row[-1] + 1, replaced))
    return row[-1]
