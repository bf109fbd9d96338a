"""What can be booked: the question of the booking queue and its answer."""

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
    Query,
    Queue,
    Specializations,
    ZoneName,
)
from booking_tasks.enums import RefusalCode

SearchCode = Literal[RefusalCode.UNKNOWN_SERVICE_TYPE,]


EmptyReason = Literal[
    "no_skill", "no_hours", "beyond_horizon", "notice_too_short", "all_taken", "limit_reached"
]


class FreeStart(Contract):
    """A start that can be booked in this very snapshot; the end excludes buffers.

    `day` is the calendar day on which it starts in the zone that was asked for, to group by.
    """

    consultant_user_id: UUID
    start: Instant
    end: Instant
    day: date


class SearchOutcome(Outcome[SearchCode]):
    """Free starts in order of time, then consultant id.

    `next` is the cursor of the following page, None on the last one. `empty_reason` says why there
    are no starts: `no_consultant` (none of those asked for takes bookings of the kind), `range_over` (it
    lies in the past), or the furthest that any consultant came. `counts` then says how many consultants
    each reason holds for, each counted once: without the skills, without hours in the range, all of them
    beyond the horizon, within the notice, booked or blocked, or over a limit. Code when refused:
    `unknown_service_type`.
    """

    starts: tuple[FreeStart, ...] = ()
    next: str | None = None
    empty_reason: str | None = None
    counts: dict[EmptyReason, int] = Field(default_factory=dict)


def cursor_after(start: datetime, consultant_user_id: UUID) -> str:
    """The cursor that goes on behind this start. What is booked in between neither repeats nor skips one."""
    return base64.urlsafe_b64encode(f"{start.isoformat()} {consultant_user_id}".encode()).decode()


def cursor_place(cursor: str) -> tuple[datetime, UUID]:
    """The start and consultant that a cursor goes on behind. Raises ValueError for anything else."""
    try:
        start, who = base64.urlsafe_b64decode(cursor.encode()).decode().rsplit(" ", 1)
        place = datetime.fromisoformat(start), UUID(who)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is no cursor; give `next` of an earlier answer as it is") from error
    if place[0].tzinfo is None:
        raise ValueError("is no cursor; give `next` of an earlier answer as it is")
    return place


def _cursor(value: str) -> str:
    cursor_place(value)
    return value


class SearchSlots(Query[SearchOutcome]):
    """Free starts of one, several or all consultants with the wanted specializations.

    The range holds a start, not its whole session. Without `end` it reaches as far as the horizon: the
    first `limit` starts there are. Pages: the same question again, with the `next` of the last answer as
    `after`.
    """

    task: ClassVar[str] = "search_slots"
    queue: ClassVar[Queue] = "booking"
    outcome: ClassVar[type[Outcome]] = SearchOutcome

    service_type_id: UUID
    start: Instant
    end: Instant | None = None
    consultant_user_ids: Annotated[tuple[UUID, ...], Field(max_length=200)] = ()
    required_specializations: Specializations = ()
    time_zone: ZoneName = "UTC"
    limit: int = Field(50, ge=1, le=500)
    after: Annotated[str, Field(max_length=200), AfterValidator(_cursor)] | None = None

    @model_validator(mode="after")
    def _range(self) -> SearchSlots:
        if self.end is not None and self.end <= self.start:
            raise ValueError("end must lie after start")
        return self
