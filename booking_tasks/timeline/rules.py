"""The entries of a timeline as text: ids, states, times and reasons, without names and links."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

EntrySource = Literal["message", "dead letter", "decision", "event", "job", "evidence"]


@dataclass(frozen=True)
class TimelineEntry:
    """One entry; `at` is real time, or None when it has not happened yet."""

    at: datetime | None
    source: EntrySource
    id: UUID
    text: str

    @property
    def record(self) -> dict[str, Any]:
        """The entry for JSON."""
        at = None if self.at is None else _instant(self.at)
        return {"at": at, "source": self.source, "id": str(self.id), "text": self.text}

    def __str__(self) -> str:
        at = "still to come           " if self.at is None else _instant(self.at, "milliseconds")
        return f"{at}  {self.source:<11}  {self.text}  ({self.id})"


def in_order(entries: Iterable[TimelineEntry]) -> list[TimelineEntry]:
    """Sort entries by time, stably; those that have not happened yet come last."""
    never = datetime.max.replace(tzinfo=UTC)
    return sorted(entries, key=lambda entry: entry.at or never)


def change(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return what changed, as `name: old -> new`. Links are not shown, because they give access."""
    before, after = _without_links(before), _without_links(after)
    parts = []
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if name in before and name in after:
            parts.append(f"{name}: {old} -> {new}")
        elif new is not None or name in after:
            parts.append(f"{name}: {new}")
        else:
            parts.append(f"{name}: {old}")
    return ", ".join(parts)


def _without_links(values: dict[str, Any]) -> dict[str, Any]:
    return {name: "<link>" if "://" in str(value) else value for name, value in values.items()}


def choice(
    reason: str, consultant: UUID | None, start: datetime | None, candidates: list[dict[str, Any]]
) -> str:
    """Return an assignment decision as text: who was chosen, and why each other candidate was not."""
    who = f"consultant {consultant} at {to_minute(start)}" if consultant else "nobody"
    against = [
        f"{one['consultant_user_id']} {one['rejected'] or 'load ' + str(one['load'])}"
        for one in candidates
        if one["consultant_user_id"] != str(consultant)
    ]
    rest = f"; evaluated: {', '.join(against)}" if against else ""
    return f"{reason}: {who}{rest}"


def to_minute(instant: datetime | None) -> str:
    """Return a business instant as text, to the minute, in UTC."""
    return "-" if instant is None else f"{instant.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def _instant(instant: datetime, precision: str = "microseconds") -> str:
    return instant.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
