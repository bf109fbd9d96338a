"""Time zones from the `tzdata` package, whose version the lock file pins; not from the system's copy.

Python's `zoneinfo` prefers the system's copy. Two hosts with different copies would compute different
instants for one wall-clock time, so that one would offer a start that the other refuses.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import tzdata

_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


@cache
def zone(name: str) -> ZoneInfo:
    """Return the IANA zone of this name. Raises ZoneInfoNotFoundError (a KeyError)."""
    if not _NAME.fullmatch(name):
        raise ZoneInfoNotFoundError(name)
    try:
        with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
            return ZoneInfo.from_file(file, key=name)
    except (OSError, ValueError) as error:
        raise ZoneInfoNotFoundError(name) from error


def tzdata_version() -> str:
    """Return the release of the IANA database in use, such as 2026f."""
    return str(tzdata.IANA_VERSION)
