"""The result of one check of `booking-tasks check`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class State(StrEnum):
    """The state of what was checked."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """The result of one check. `remedy` is what to do about it; it is empty when nothing is wrong."""

    check: str
    state: State
    seen: str
    remedy: str = ""

    @property
    def line(self) -> str:
        tail = f" -> {self.remedy}" if self.remedy else ""
        return f"{self.state:<8} {self.check:<12} {self.seen}{tail}"

    @property
    def record(self) -> dict[str, str]:
        """The finding for JSON."""
        return asdict(self)
