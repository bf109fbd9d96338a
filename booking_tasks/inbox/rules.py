"""When two messages are the same message."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class WantedLetters:
    """Which dead letters an operator means. What is None does not matter.

    `task` is a short name such as submit_request; `since` is real time; `about` is a message, a request
    or a session that the letter names.
    """

    letter_id: UUID | None = None
    task: str | None = None
    door: str | None = None
    since: datetime | None = None
    about: UUID | None = None

    @property
    def means_all(self) -> bool:
        return self == WantedLetters()


def body_hash(task: str, body: dict[str, Any]) -> str:
    """A fingerprint of task and content; the order of keys does not matter."""
    canonical = json.dumps([task, body], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
