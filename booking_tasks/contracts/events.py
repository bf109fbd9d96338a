"""The events for other services: CloudEvents 1.0 in structured mode (application/cloudevents+json)."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from booking_tasks.contracts.base import Instant


class CloudEvent(BaseModel):
    """An event in CloudEvents 1.0 (section 'REQUIRED attributes') with some optional attributes.

    `id` is the id of the event in the history, so that a repeat has the same one.
    """

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str = Field(description="<prefix>.<event>.v1, such as booking.session.scheduled.v1")
    subject: str = Field(description="The session's id, or the request's id when there is no session yet.")
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, Any]
