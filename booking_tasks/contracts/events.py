"""What other services hear: CloudEvents 1.0 in structured mode (application/cloudevents+json)."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from booking_tasks.contracts.base import Instant


class CloudEvent(BaseModel):
    """CloudEvents 1.0, section 'REQUIRED attributes' and the optional ones used here.

    `id` is the event's id in our history: a repeat carries the same one.
    """

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str = Field(description="<prefix>.<event>.v1, such as booking.session.scheduled.v1")
    subject: str = Field(description="The session's id, or the request's where there is no session yet.")
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, Any]
