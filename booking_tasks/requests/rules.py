"""A request that is inserted with its session, and until when a consultant may confirm one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from booking_tasks.enums import RequestStatus


@dataclass(frozen=True)
class NewRequest:
    """A request that is inserted together with its session, so that it never waits."""

    status: ClassVar[RequestStatus] = RequestStatus.PENDING

    id: UUID
    requester_user_id: UUID
    consultation_service_type_id: UUID
    company_id: UUID | None
    preferred_consultant_user_id: UUID
    preferred_start_time: datetime
    request_details: str | None
    series_id: UUID


def confirmation_deadline(
    now: datetime, minutes: int | None, default: timedelta, start: datetime
) -> datetime:
    """Return until when a consultant may confirm: `minutes` of the service type, or the default.

    Never later than the start of the session.
    """
    return min(now + (default if minutes is None else timedelta(minutes=minutes)), start)
