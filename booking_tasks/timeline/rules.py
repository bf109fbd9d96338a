"""How what happened is put into lines: ids, states, times, causes and reasons; no names and no links."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

Source = Literal["message", "dead letter", "decision", "event", "job", "evidence"]


@dataclass(frozen=True)
class Line:
    """One thing that happened. `at` is real time; None is still to come."""

    at: datetime | None
    source: Source
    id: UUID
    text: str

    @property
    def record(self) -> dict[str, Any]:
        """For JSON."""
        at = None if self.at is None else _instant(self.at)
        return {"at": at, "source": self.source, "id": str(self.id), "text": self.text}

    def __str__(self) -> str:
        at = "still to come           " if self.at is None else _instant(self.at, "milliseconds")
        return f"{at}  {self.source:<11}  {self.text}  ({self.id})"


def in_order(lines: Iterable[Line]) -> list[Line]:
    """By time; of one moment in the given order; what is still to come at the end."""
    never = datetime.max.replace(tzinfo=UTC)
    return sorted(lines, key=lambda line: line.at or never)


def change(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What changed, as `name: old -> new`. A link lets in whoever has it, so it is not shown."""
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
    reason: str, consultant: UUID | None, start: datetime | None, looked_at: list[dict[str, Any]]
) -> str:
    """An assignment decision: who was taken or why nobody was, and what spoke against each other one."""
    who = f"consultant {consultant} at {moment(start)}" if consultant else "nobody"
    against = [
        f"{one['consultant_user_id']} {one['rejected'] or 'load ' + str(one['load'])}"
        for one in looked_at
        if one["consultant_user_id"] != str(consultant)
    ]
    rest = f"; looked at: {', '.join(against)}" if against else ""
    return f"{reason}: {who}{rest}"


def moment(instant: datetime | None) -> str:
    """A business instant, to the minute, in UTC."""
    return "-" if instant is None else f"{instant.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def _instant(instant: datetime, precision: str = "microseconds") -> str:
    return instant.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
