"""Redaction: keeps the shape and the ids of a message or an error, and removes personal data."""

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
from booking_tasks.kit.currencies import MINOR_UNITS

#: Ids, instants, dates, wall-clock times and amounts: no name, address or sentence has such a form.
_IMPERSONAL = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?"
    r"|\d\d:\d\d(:\d\d)?"
    r"|\d{1,8}\.\d\d"
)
_ENUM_VALUES = frozenset(
    (
        *RequestStatus,
        *SessionStatus,
        *SlotStatus,
        *Attendance,
        *ReplyAnswer,
        *Party,
        *EvidenceType,
        *FeedType,
        *MINOR_UNITS,
        "user",
    )
)
#: A billed amount also without decimals (JPY). Elsewhere such a text may be a number of a person.
_AMOUNT = re.compile(r"\d{1,8}(\.\d{2,4})?")
_FIELD_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_LIMIT = 50

#: PostgreSQL's DETAIL quotes the row at fault. In a repr, line ends are escaped.
_DETAIL = re.compile(r"(\\n|\n)DETAIL:.*?(?=(?:\\n|\n)(?:\[SQL|HINT:|CONTEXT:|\\n|\n)|$)", re.DOTALL)
#: Larger numbers count nothing here, and very long ones cannot be stored.
_LARGEST = 10**15


def redacted(value: Any, depth: int = 0) -> Any:
    """Return the shape of a JSON value: names of fields, numbers, ids, times and enum values are kept.

    Any other text, however short, is replaced by its length. Depth and breadth are limited, so that hostile
    input stays small. The result can always be stored as JSON.
    """
    if depth > 6:
        return "…"
    if isinstance(value, dict):
        return {
            _field_name(key): _field_value(key, item, depth) for key, item in list(value.items())[:_LIMIT]
        }
    if isinstance(value, (list, tuple)):
        return [redacted(item, depth + 1) for item in value[:_LIMIT]]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value if -_LARGEST < value < _LARGEST else "<a number>"  # false for NaN too
    text = str(value)
    return text if text in _ENUM_VALUES or _IMPERSONAL.fullmatch(text) else f"<{len(text)} characters>"


def _field_value(key: object, value: Any, depth: int) -> Any:
    is_amount = key == "billed_amount" and isinstance(value, str) and _AMOUNT.fullmatch(value)
    return value if is_amount else redacted(value, depth + 1)


def _field_name(key: object) -> str:
    name = str(key)
    return name if _FIELD_NAME.fullmatch(name) else f"<{len(name)} characters>"


def without_rows(error: str) -> str:
    """Return the text of a database error, or of a traceback, without the rows that it quotes."""
    return _DETAIL.sub("", error)
