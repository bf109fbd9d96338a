"""What may be kept of a message that could not be used: its shape and ids, no personal data."""

from __future__ import annotations

import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z0-9_.:+-]{1,64}")
_LIMIT = 50


def redacted(value: Any, depth: int = 0) -> Any:
    """The shape of a JSON value: keys, numbers, short codes and ids stay; free text becomes its length.

    An address is free text. Nesting and breadth are cut, so that hostile input stays small.
    """
    if depth > 6:
        return "…"
    if isinstance(value, dict):
        return {str(key)[:64]: redacted(item, depth + 1) for key, item in list(value.items())[:_LIMIT]}
    if isinstance(value, (list, tuple)):
        return [redacted(item, depth + 1) for item in value[:_LIMIT]]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return text if _PLAIN.fullmatch(text) else f"<{len(text)} characters>"
