"""Times and durations as people read them, in their zone and language. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from booking_tasks.kit.time_zones import zone as zone_named

Language = Literal["en", "de"]

_WEEKDAYS: dict[Language, tuple[str, ...]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
}
_MONTHS: dict[Language, tuple[str, ...]] = {
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    "de": (
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ),
}
_UNITS: dict[Language, tuple[tuple[str, str], tuple[str, str], tuple[str, str]]] = {
    "en": (("day", "days"), ("hour", "hours"), ("minute", "minutes")),
    "de": (("Tag", "Tagen"), ("Stunde", "Stunden"), ("Minute", "Minuten")),
}


def language_of(preferred: str, default: str) -> Language:
    """The language to write in: the preferred one, otherwise the deployment's, otherwise English."""
    for name in (preferred, default):
        if name.lower().startswith("de"):
            return "de"
        if name.lower().startswith("en"):
            return "en"
    return "en"


def zone_of(stored: str, default: str) -> str:
    """The stored zone if it is a known IANA zone, otherwise the deployment's own.

    Rows may come from other services: a mail in another zone, with its name, is better than none.
    """
    try:
        return zone_named(stored).key
    except KeyError:
        return default


def day_text(instant: datetime, zone: str, language: Language) -> str:
    """`Wednesday, 3 March 2027`: the date on which the instant falls in the zone."""
    local = instant.astimezone(zone_named(zone))
    weekday, month = _WEEKDAYS[language][local.weekday()], _MONTHS[language][local.month - 1]
    point = "." if language == "de" else ""
    return f"{weekday}, {local.day}{point} {month} {local.year}"


def instant_text(instant: datetime, zone: str, language: Language) -> str:
    """`Wednesday, 3 March 2027, 10:00, Europe/Vienna (CET)`."""
    day, clock = day_text(instant, zone, language), _clock(instant, zone)
    return f"{day}, {clock}{_hour_suffix(language)}, {_zone_name(zone, [instant])}"


def span_text(start: datetime, end: datetime, zone: str, language: Language) -> str:
    """`Wednesday, 3 March 2027, 10:00–11:00, Europe/Vienna (CET)`; both days when they differ.

    Across a change of clocks it has both abbreviations.
    """
    first, last = day_text(start, zone, language), day_text(end, zone, language)
    until = _clock(end, zone) if first == last else f"{last}, {_clock(end, zone)}"
    dash = "–" if first == last else " – "
    word = _hour_suffix(language)
    return f"{first}, {_clock(start, zone)}{dash}{until}{word}, {_zone_name(zone, [start, end])}"


def duration_text(duration: timedelta, language: Language) -> str:
    """`1 hour 30 minutes`, rounded to minutes and never less than one; from two days on without minutes.

    In German the form that follows "in" (dative).
    """
    minutes = max(1, round(duration / timedelta(minutes=1)))
    if minutes >= 2 * 24 * 60:
        amounts = (minutes // (24 * 60), minutes % (24 * 60) // 60, 0)
    else:
        amounts = (0, minutes // 60, minutes % 60)
    return " ".join(
        f"{amount} {names[0] if amount == 1 else names[1]}"
        for amount, names in zip(amounts, _UNITS[language], strict=True)
        if amount
    )


def _clock(instant: datetime, zone: str) -> str:
    return f"{instant.astimezone(zone_named(zone)):%H:%M}"


def _hour_suffix(language: Language) -> str:
    return " Uhr" if language == "de" else ""


def _zone_name(zone: str, instants: list[datetime]) -> str:
    shown = dict.fromkeys(_abbreviation(instant, zone) for instant in instants)
    return zone if list(shown) == [zone] else f"{zone} ({' – '.join(shown)})"


def _abbreviation(instant: datetime, zone: str) -> str:
    local = instant.astimezone(zone_named(zone))
    name, offset = local.tzname() or "", f"{local:%z}"
    return name if name.isalpha() else f"UTC{offset[:3]}:{offset[3:5]}"
