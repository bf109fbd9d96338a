"""The identity of a message, and the filter that selects dead letters."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class DeadLetterFilter:
    """The dead letters that an operator selects; a criterion that is None does not restrict them.

    `task` is a short name such as submit_request. `since` is real time. `about` is the id of a message, a
    request or a session that the dead letter names.
    """

    dead_letter_id: UUID | None = None
    task: str | None = None
    entry_point: str | None = None
    since: datetime | None = None
    about: UUID | None = None

    @property
    def selects_all(self) -> bool:
        return self == DeadLetterFilter()


def body_hash(task: str, body: dict[str, Any]) -> str:
    """Return a hash of task and content; it does not depend on the order of keys."""
    canonical = json.dumps([task, body], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
