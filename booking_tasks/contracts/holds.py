"""Holds and series: commands of the booking queue."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Generic, Literal
from uuid import UUID

from pydantic import Field, model_validator

from booking_tasks.contracts.base import (
    CodeT_co,
    Command,
    Contract,
    Instant,
    Outcome,
    Prose,
    PublicQueue,
    ZoneName,
)
from booking_tasks.contracts.booking import StartCode
from booking_tasks.enums import RefusalCode, RequestStatus

HoldCode = Literal[
    StartCode,
    RefusalCode.UNKNOWN_SERVICE_TYPE,
    RefusalCode.UNKNOWN_CONSULTANT,
    RefusalCode.REQUEST_EXISTS,
    RefusalCode.IS_THE_REQUESTER,
    RefusalCode.NOT_FOR_COMPANY,
    RefusalCode.AT_CAPACITY,
]
RenewHoldCode = Literal[
    RefusalCode.UNKNOWN_HOLD,
    RefusalCode.HOLD_EXPIRED,
    RefusalCode.NOT_HELD,
    RefusalCode.LONGEST_HOLD,
]
ReleaseHoldCode = Literal[
    RefusalCode.UNKNOWN_HOLD,
    RefusalCode.NOT_HELD,
]
ConfirmHoldCode = Literal[
    RefusalCode.UNKNOWN_HOLD,
    RefusalCode.HOLD_EXPIRED,
    RefusalCode.NOT_HELD,
]
SeriesCode = Literal[
    RefusalCode.UNKNOWN_SERVICE_TYPE,
    RefusalCode.SERVICE_TYPE_INACTIVE,
    RefusalCode.UNKNOWN_CONSULTANT,
    RefusalCode.IS_THE_REQUESTER,
    RefusalCode.NOT_AVAILABLE_FOR_BOOKING,
    RefusalCode.SERVICE_NOT_OFFERED,
    RefusalCode.NOT_FOR_COMPANY,
    RefusalCode.AT_CAPACITY,
    RefusalCode.SERIES_EXISTS,
    RefusalCode.MUST_BE_CONFIRMED,
    RefusalCode.CONFLICTS,
]


#: The longest time of a hold, however often it is renewed.
LONGEST_HOLD = timedelta(hours=2)

HoldMinutes = Annotated[int, Field(ge=1, le=60)]


class HoldOutcome(Outcome[CodeT_co], Generic[CodeT_co]):
    """The hold and its request after the command; the token allows to renew, release and confirm it."""

    request_id: UUID | None = None
    hold_token: UUID | None = None
    status: RequestStatus | None = None
    session_id: UUID | None = None
    start: Instant | None = None
    end: Instant | None = None
    held_until: Instant | None = None

    def booked_requests(self) -> tuple[UUID, ...]:
        """Return the request, once a time is booked or held for its consultant's answer."""
        is_booked = self.status in (RequestStatus.SCHEDULED, RequestStatus.PENDING_CONFIRMATION)
        return (self.request_id,) if is_booked and self.request_id is not None else ()


class HoldSlot(Command[HoldOutcome[HoldCode]]):
    """Hold a start for a requester until they confirm it, at most for `minutes` and not past the start.

    It creates the request of that id, which is not assigned while the start is held. A hold ends by the
    clock: then the start is free for others, and the request is cancelled (`hold_expired`). Codes:
    `unknown_service_type`, `unknown_consultant`, `request_exists`, `is_the_requester`, `not_for_company` (the
    consultant serves other companies), `at_capacity`, `slot_not_free`, `slot_taken`, `requester_busy`,
    `notice_too_short`, `beyond_horizon`, `limit_reached`, and where nothing at all is offered
    `service_type_inactive`, `service_not_offered`, `not_available_for_booking`.
    """

    task: ClassVar[str] = "hold_slot"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = HoldOutcome[HoldCode]

    request_id: UUID
    requester_user_id: UUID
    service_type_id: UUID
    consultant_user_id: UUID
    start: Instant
    minutes: HoldMinutes = 10
    company_id: UUID | None = None
    details: Prose | None = None


class RenewHold(Command[HoldOutcome[RenewHoldCode]]):
    """Renew a hold for `minutes` from now, at most two hours in all and not past the start.

    Codes: `unknown_hold`, `hold_expired`, `not_held` (confirmed or ended), `longest_hold` (the
    limit is reached).
    """

    task: ClassVar[str] = "renew_hold"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = HoldOutcome[RenewHoldCode]

    request_id: UUID
    hold_token: UUID
    minutes: HoldMinutes = 10


class ReleaseHold(Command[HoldOutcome[ReleaseHoldCode]]):
    """Release a hold; its request is cancelled. Codes: `unknown_hold`, `not_held` (confirmed)."""

    task: ClassVar[str] = "release_hold"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = HoldOutcome[ReleaseHoldCode]

    request_id: UUID
    hold_token: UUID


class ConfirmHold(Command[HoldOutcome[ConfirmHoldCode]]):
    """Book the held start; if the consultant must confirm, they are asked and the hold continues.

    Codes: `unknown_hold`, `hold_expired`, `not_held` (ended).
    """

    task: ClassVar[str] = "confirm_hold"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = HoldOutcome[ConfirmHoldCode]

    request_id: UUID
    hold_token: UUID


class Weekly(Contract):
    """A weekly recurrence at one wall-clock time in `time_zone`; `times` includes the first."""

    times: int = Field(ge=2, le=53)
    every_weeks: int = Field(1, ge=1, le=52)
    time_zone: ZoneName


class SeriesSession(Contract):
    """One session of a series."""

    session_id: UUID
    request_id: UUID
    start: Instant
    end: Instant


class Conflict(Contract):
    """A start of a series that cannot be booked; the codes are those of HoldSlot."""

    start: Instant
    code: StartCode


class SeriesOutcome(Outcome[SeriesCode]):
    """All sessions in order of time, or no session and all conflicts."""

    series_id: UUID | None = None
    sessions: tuple[SeriesSession, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    def booked_sessions(self) -> tuple[UUID, ...]:
        """Return all sessions of the series."""
        return tuple(one.session_id for one in self.sessions)


class BookSeries(Command[SeriesOutcome]):
    """Book several starts of one consultant, whole or not at all.

    Set all `starts`, or one start and `weekly`. Codes: `unknown_service_type`, `service_type_inactive`,
    `unknown_consultant`,
    `is_the_requester`, `not_available_for_booking`, `service_not_offered`, `not_for_company`, `at_capacity`
    (with all of the series), `series_exists`, `must_be_confirmed` (the consultant confirms each booking),
    `conflicts` (see there; nothing was booked).
    """

    task: ClassVar[str] = "book_series"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = SeriesOutcome

    series_id: UUID
    requester_user_id: UUID
    service_type_id: UUID
    consultant_user_id: UUID
    starts: Annotated[tuple[Instant, ...], Field(min_length=1, max_length=53)]
    weekly: Weekly | None = None
    company_id: UUID | None = None
    details: Prose | None = None

    @model_validator(mode="after")
    def _starts(self) -> BookSeries:
        if self.weekly is not None and len(self.starts) > 1:
            raise ValueError("set one start with weekly, or all of them without it")
        if len(set(self.starts)) < len(self.starts):
            raise ValueError("a start is named twice; name each once")
        return self
