"""The RRULE that this service accepts (RFC 5545, section 3.3.10), read strictly.

Hours have their own start, so nothing below a day recurs: FREQ is DAILY, WEEKLY, MONTHLY or YEARLY, and
BYHOUR, BYMINUTE and BYSECOND are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_UNTIL = re.compile(r"\d{8}T\d{6}Z?")
_BYDAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_NUMBER = re.compile(r"[+-]?\d{1,3}")
_MOST_COUNT, _MOST_INTERVAL = 2000, 1000


def parts_of(rrule: str) -> dict[str, str]:
    """Return the parts of a rule by name. Raises ValueError that says what would be right."""
    parts: dict[str, str] = {}
    for part in rrule.split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value or name not in _PARTS:
            raise ValueError(f"{_shown(part)} is not a part of a rule; write it like FREQ=WEEKLY;BYDAY=MO,WE")
        if name in parts:
            raise ValueError(f"{name} occurs twice; write it once")
        parts[name] = value
    if "FREQ" not in parts:
        raise ValueError("FREQ is missing; write it like FREQ=WEEKLY;BYDAY=MO,WE")
    for name, value in parts.items():
        _PARTS[name](name, value)
    _check_together(parts)
    return parts


def until_of(rrule: str) -> tuple[datetime, bool] | None:
    """Return UNTIL without its zone, and whether it is in UTC; None without UNTIL."""
    value = parts_of(rrule).get("UNTIL")
    return (_moment(value), value.endswith("Z")) if value else None


def _shown(part: str) -> str:
    return part if re.fullmatch(r"[A-Z0-9=,+-]{1,40}", part) else "a piece of it"


def _moment(value: str) -> datetime:
    return datetime.strptime(value.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - the caller knows its zone


def _frequency(name: str, value: str) -> None:
    if value not in _FREQUENCIES:
        raise ValueError(f"FREQ must be one of {', '.join(_FREQUENCIES)}")


def _at_most(most: int) -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        if not (value.isascii() and value.isdecimal() and len(value) <= 4 and 1 <= int(value) <= most):
            raise ValueError(f"{name} must be a whole number from 1 to {most}")

    return check


def _until(name: str, value: str) -> None:
    try:
        if not _UNTIL.fullmatch(value):
            raise ValueError("form")
        _moment(value)
    except ValueError:
        raise ValueError("UNTIL must be a moment like 20271231T225900Z (UTC), or without Z local") from None


def _week_start(name: str, value: str) -> None:
    if value not in _WEEKDAYS:
        raise ValueError("WKST must be one of MO, TU, WE, TH, FR, SA, SU")


def _days(name: str, value: str) -> None:
    for one in value.split(","):
        found = _BYDAY.fullmatch(one)
        if not found or (found[1] and not 1 <= abs(int(found[1])) <= 53):
            raise ValueError("BYDAY must be weekdays like MO,WE or with an ordinal like 1MO,-1FR")


def _numbers(most: int, *, negative: bool) -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        for one in value.split(","):
            number = int(one) if _NUMBER.fullmatch(one) else 0
            if not 1 <= abs(number) <= most or (number < 0 and not negative):
                either = f", or -1 to -{most} from the end" if negative else ""
                raise ValueError(f"{name} must be whole numbers from 1 to {most}{either}")

    return check


_PARTS: dict[str, Callable[[str, str], None]] = {
    "FREQ": _frequency,
    "INTERVAL": _at_most(_MOST_INTERVAL),
    "COUNT": _at_most(_MOST_COUNT),
    "UNTIL": _until,
    "WKST": _week_start,
    "BYDAY": _days,
    "BYMONTH": _numbers(12, negative=False),
    "BYMONTHDAY": _numbers(31, negative=True),
    "BYYEARDAY": _numbers(366, negative=True),
    "BYWEEKNO": _numbers(53, negative=True),
    "BYSETPOS": _numbers(366, negative=True),
}


def _check_together(parts: dict[str, str]) -> None:
    """Refuse the combinations that RFC 5545 forbids."""
    frequency, by = parts["FREQ"], {name for name in parts if name.startswith("BY")}
    ordinals = any(one[0] not in "MTWFS" for one in parts.get("BYDAY", "").split(",") if one)
    wrong = {
        "UNTIL and COUNT exclude each other; keep one": {"UNTIL", "COUNT"} <= parts.keys(),
        "BYDAY takes ordinals with MONTHLY or YEARLY only": ordinals and frequency in {"DAILY", "WEEKLY"},
        "BYDAY takes no ordinals beside BYWEEKNO": ordinals and "BYWEEKNO" in by,
        "BYMONTHDAY does not go with WEEKLY": "BYMONTHDAY" in by and frequency == "WEEKLY",
        "BYYEARDAY goes with YEARLY only": "BYYEARDAY" in by and frequency != "YEARLY",
        "BYWEEKNO goes with YEARLY only": "BYWEEKNO" in by and frequency != "YEARLY",
        "BYSETPOS chooses among another BY part; add one": by == {"BYSETPOS"},
    }
    for problem, there in wrong.items():
        if there:
            raise ValueError(problem)
