"""What may be kept of a message that could not be used: its shape and ids, no personal data."""

from __future__ import annotations

import re
from typing import Any

from booking_tasks.enums import (
    Attendance,
    EvidenceType,
    FeedType,
    Party,
    ReplyAnswer,
    RequestStatus,
    SessionStatus,
    SlotStatus,
)

#: Ids, instants, dates, wall-clock times and amounts: what no name, address or sentence looks like.
_IMPERSONAL = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?"
    r"|\d\d:\d\d(:\d\d)?"
    r"|\d{1,8}\.\d\d"
)
_OWN_WORDS = frozenset(
    (
        *RequestStatus,
        *SessionStatus,
        *SlotStatus,
        *Attendance,
        *ReplyAnswer,
        *Party,
        *EvidenceType,
        *FeedType,
        "user",
    )
)
_FIELD_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_LIMIT = 50

#: PostgreSQL's DETAIL quotes the row at fault; in a repr the line ends are written out.
_DETAIL = re.compile(r"(\\n|\n)DETAIL:.*?(?=(?:\\n|\n)(?:\[SQL|HINT:|CONTEXT:|\\n|\n)|$)", re.DOTALL)
#: Beyond these a number is no count of anything here, and too long a one could not be stored.
_LARGEST = 10**15


def redacted(value: Any, depth: int = 0) -> Any:
    """The shape of a JSON value: field names, numbers, ids, times and states stay; the rest is measured.

    A name is free text even when it is one short word. Nesting and breadth are cut, so that hostile
    input stays small, and whatever comes out can be stored as JSON.
    """
    if depth > 6:
        return "…"
    if isinstance(value, dict):
        return {_field_name(key): redacted(item, depth + 1) for key, item in list(value.items())[:_LIMIT]}
    if isinstance(value, (list, tuple)):
        return [redacted(item, depth + 1) for item in value[:_LIMIT]]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value if -_LARGEST < value < _LARGEST else "<a number>"  # not so: also NaN
    text = str(value)
    return text if text in _OWN_WORDS or _IMPERSONAL.fullmatch(text) else f"<{len(text)} characters>"


def _field_name(key: object) -> str:
    name = str(key)
    return name if _FIELD_NAME.fullmatch(name) else f"<{len(name)} characters>"


def without_rows(error: str) -> str:
    """The text of a database error, or of a traceback with some, without the rows that it quotes."""
    return _DETAIL.sub("", error)
