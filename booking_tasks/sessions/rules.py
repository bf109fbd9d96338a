"""What a session takes over from the confirmation request that its consultant accepted. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Asked:
    """A question that its consultant accepted: the event's id, and the instant at which it was asked."""

    id: UUID
    at: datetime
