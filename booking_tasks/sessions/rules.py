"""What a session takes over from the confirmation request that its consultant accepted. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class AcceptedConfirmation:
    """An accepted confirmation request: the id of its event, and the instant at which it was sent."""

    id: UUID
    requested_at: datetime
