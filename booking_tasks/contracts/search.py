"""The search for free starts: a query of the booking queue."""

from __future__ import annotations

import base64
import binascii
from datetime import date, datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from booking_tasks.contracts.base import (
    Contract,
    Instant,
    Outcome,
    PublicQueue,
    Query,
    Specializations,
    ZoneName,
)
from booking_tasks.enums import RefusalCode

SearchCode = Literal[RefusalCode.UNKNOWN_SERVICE_TYPE, RefusalCode.SERVICE_TYPE_INACTIVE]


EmptyReason = Literal[
    "not_for_company",
    "no_skill",
    "at_capacity",
    "no_hours",
    "beyond_horizon",
    "notice_too_short",
    "all_taken",
    "limit_reached",
    "requester_busy",
]


class FreeStart(Contract):
    """A start that can be booked in this snapshot; the end excludes buffers.

    `day` is the calendar day of the start in the zone of the query, for grouping.
    """

    consultant_user_id: UUID
    start: Instant
    end: Instant
    day: date


class SearchOutcome(Outcome[SearchCode]):
    """Free starts in order of time, then consultant id.

    `next` is the cursor of the following page, None on the last one. `empty_reason` says why there are no
    starts: `no_consultant` (no requested consultant offers the service type), `range_over` (it is in the
    past), or the reason of the consultant who came furthest. `counts` then has the number of consultants of
    each reason, each counted once: for other companies, without the specializations, with as many sessions
    ahead as they may have, without hours in the range, or with all hours beyond the horizon, within the
    notice, booked or blocked, over a limit, or free only while the requester of the query is occupied. Codes
    when refused: `unknown_service_type`, `service_type_inactive`.
    """

    starts: tuple[FreeStart, ...] = ()
    next: str | None = None
    empty_reason: str | None = None
    counts: dict[EmptyReason, int] = Field(default_factory=dict)


def cursor_after(start: datetime, consultant_user_id: UUID) -> str:
    """Return the cursor after this start; a booking between two pages repeats and skips no start."""
    return base64.urlsafe_b64encode(f"{start.isoformat()} {consultant_user_id}".encode()).decode()


def cursor_place(cursor: str) -> tuple[datetime, UUID]:
    """Return the start and consultant of a cursor. Raises ValueError for any other text."""
    try:
        start, who = base64.urlsafe_b64decode(cursor.encode()).decode().rsplit(" ", 1)
        place = datetime.fromisoformat(start), UUID(who)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is no cursor; use `next` of an earlier outcome unchanged") from error
    if place[0].tzinfo is None:
        raise ValueError("is no cursor; use `next` of an earlier outcome unchanged")
    return place


def _cursor(value: str) -> str:
    cursor_place(value)
    return value


class SearchSlots(Query[SearchOutcome]):
    """Search free starts of one, several or all consultants with the required specializations.

    Consultants for certain companies are found with the `company_id` of one of those only, and nobody who has
    as many sessions ahead as `assignment_capacity` allows.

    The range contains the start, not the whole session. Without `end` it reaches to the horizon. With
    `requester_user_id`, only what this person could book is found: no hours of their own as a consultant, and
    no start at which they are occupied, in whatever role. For the next page, send the same query with the
    `next` of the last outcome as `after`.
    """

    task: ClassVar[str] = "search_slots"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = SearchOutcome

    service_type_id: UUID
    start: Instant
    end: Instant | None = None
    consultant_user_ids: Annotated[tuple[UUID, ...], Field(max_length=200)] = ()
    required_specializations: Specializations = ()
    requester_user_id: UUID | None = None
    company_id: UUID | None = None
    time_zone: ZoneName = "UTC"
    limit: int = Field(50, ge=1, le=500)
    after: Annotated[str, Field(max_length=200), AfterValidator(_cursor)] | None = None

    @model_validator(mode="after")
    def _range(self) -> SearchSlots:
        if self.end is not None and self.end <= self.start:
            raise ValueError("end must lie after start")
        return self
