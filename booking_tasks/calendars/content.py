"""The lines and blocks of a calendar's bytes (RFC 5545 section 3.1), before they are understood. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from icalendar.parser import Contentline

#: The most entries of one calendar file.
MOST_ENTRIES = 20_000
_CALENDAR, _ZONE = "VCALENDAR", "VTIMEZONE"
_ENTRIES = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VAVAILABILITY"})
#: The properties that are read; the others are not even split, because a file may have millions.
_PROPERTIES = frozenset(
    {
        *("UID", "SEQUENCE", "DTSTAMP", "LAST-MODIFIED", "RECURRENCE-ID"),
        *("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE"),
        *("STATUS", "TRANSP", "ATTENDEE", "X-MICROSOFT-CDO-BUSYSTATUS", "X-MICROSOFT-CDO-ALLDAYEVENT"),
        *("FREEBUSY", "TZID"),
    }
)
_LINE_END = re.compile(r"\r\n|\r|\n")
#: A line goes on where the next one begins with a space or a tab. It is unfolded as bytes, because some
#: programs fold within a character. The look-behind keeps many empty lines from being scanned again.
_FOLD = re.compile(rb"(?<![\r\n])\r*\n[ \t]|(?<![\r\n])\r[ \t]")
_FOLD_TEXT = re.compile(r"(?<![\r\n])\r*\n[ \t]|(?<![\r\n])\r[ \t]")
_NAME = re.compile(r"[ \t]*([A-Za-z0-9-]+)[ \t]*[;:]")
#: Outlook names zones `tzone://Microsoft/Utc`, without the quotes that a value with a colon needs.
_BARE_ADDRESS = re.compile(r";([ \t]*TZID[ \t]*=[ \t]*)([A-Za-z][A-Za-z0-9+.-]*://[^\":;,]*)(?=[:;])", re.I)
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
#: Labels of texts without an umlaut that are often wrong; UTF-8 reads the same and more.
_ASCII = frozenset({"us-ascii", "ascii", "ansi_x3.4-1968"})
_CHARSETS = re.compile(
    r"utf-?8|utf-?16(-?le|-?be)?|iso-?8859-?\d{1,2}|latin-?1|(windows|cp)-?125\d|koi8-[ru]", re.I
)


class UnreadableError(Exception):
    """The bytes are no calendar, or one beyond the limits. The message quotes nothing of it."""


@dataclass(frozen=True)
class ContentProperty:
    """One content line: its value as written, and its parameters by upper-case names."""

    value: str
    params: dict[str, str] = field(default_factory=dict)


@dataclass
class ContentBlock:
    """What stands between a BEGIN and its END. Only a time zone keeps its lines as text."""

    name: str
    properties: dict[str, list[ContentProperty]] = field(default_factory=dict)
    blocks: list[ContentBlock] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """The values of a property, without the space around them."""
        return [one.value.strip() for one in self.properties.get(name, ())]

    def first(self, name: str) -> ContentProperty | None:
        """The first property of this name, or None."""
        return next(iter(self.properties.get(name, ())), None)

    def walk(self, name: str) -> Iterator[ContentBlock]:
        """The blocks of this name, at any depth."""
        for one in self.blocks:
            if one.name == name:
                yield one
            yield from one.walk(name)


def calendar_lines(content: bytes, charset: str | None = None) -> list[str]:
    """The unfolded lines of a calendar, from the first BEGIN:VCALENDAR to the last END:VCALENDAR.

    A byte order mark counts before `charset`, the label of the bytes. Raises UnreadableError.
    """
    lines = [line for line in _LINE_END.split(_text(content, charset)) if line.strip()]
    if not lines or not _is_mark(lines[0], "BEGIN", _CALENDAR):
        raise UnreadableError("it does not begin with BEGIN:VCALENDAR")
    last = next((at for at in range(len(lines), 0, -1) if _is_mark(lines[at - 1], "END", _CALENDAR)), 0)
    if not last or any(_is_mark(line, "BEGIN", _CALENDAR) for line in lines[last:]):
        raise UnreadableError("it does not end with END:VCALENDAR: it is cut off")
    return lines[:last]


def blocks_of(lines: Iterable[str], most_entries: int = MOST_ENTRIES) -> list[ContentBlock]:
    """The calendars in these lines; what stands between two calendars is left out. Raises UnreadableError."""
    found, entries = ContentBlock(""), 0
    open_blocks = [found]
    for line in lines:
        _keep_zone_line(open_blocks, line)
        match = _NAME.match(line)
        name = match[1].upper() if match else ""
        if name == "BEGIN":
            block = ContentBlock(line.partition(":")[2].strip().upper())
            block.lines += [line] if block.name == _ZONE else []
            if len(open_blocks) > 1 or block.name == _CALENDAR:
                open_blocks[-1].blocks.append(block)
                open_blocks.append(block)
                entries += block.name in _ENTRIES
        elif name == "END" and len(open_blocks) > 1:
            if open_blocks.pop().name != line.partition(":")[2].strip().upper():
                raise UnreadableError("it has a BEGIN without its END")
        elif name in _PROPERTIES and len(open_blocks) > 1:
            open_blocks[-1].properties.setdefault(name, []).append(_property(line))
        if entries > most_entries:
            raise UnreadableError(f"it has more than {most_entries} entries")
    if len(open_blocks) > 1:
        raise UnreadableError("it has a BEGIN without its END")
    return found.blocks


def _keep_zone_line(open_blocks: list[ContentBlock], line: str) -> None:
    zone = next((one for one in open_blocks if one.name == _ZONE), None)
    if zone is not None:
        zone.lines.append(line)


def _property(line: str) -> ContentProperty:
    """The value and parameters of a line; a line that cannot be split has an empty value."""
    try:
        _, params, value = Contentline(_BARE_ADDRESS.sub(r';\1"\2"', line)).raw_parts()  # type: ignore[no-untyped-call]
    except ValueError:
        return ContentProperty("")
    return ContentProperty(value, {name.upper(): _one(value) for name, value in params.items()})


def _one(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _is_mark(line: str, mark: str, name: str) -> bool:
    begin, _, rest = line.partition(":")
    return begin.strip().upper() == mark and rest.strip().upper() == name


def _text(content: bytes, charset: str | None) -> str:
    named = next((one for mark, one in _BYTE_ORDER_MARKS.items() if content.startswith(mark)), None)
    label = named or (charset or "utf-8").strip().strip("\"'").lower()
    if label in _ASCII or not _CHARSETS.fullmatch(label):
        label = "utf-8"
    is_utf_8 = label in {"utf-8", "utf8"}
    try:
        if is_utf_8:
            return _FOLD.sub(b"", content.removeprefix(b"\xef\xbb\xbf")).decode("utf-8")
        return _FOLD_TEXT.sub("", content.decode(label).removeprefix("\ufeff"))
    except (UnicodeError, LookupError):
        raise UnreadableError(
            f"it is not {'UTF-8' if is_utf_8 else 'in the charset that its server names'}"
        ) from None
