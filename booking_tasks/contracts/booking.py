"""Requests and sessions: commands of the booking queue."""

from __future__ import annotations

from typing import ClassVar, Generic, Literal
from uuid import UUID

from pydantic import Field, model_validator

from booking_tasks.contracts.base import (
    CodeT_co,
    Command,
    Contract,
    Ids,
    Instant,
    Languages,
    Outcome,
    Prose,
    PublicQueue,
    Reason,
    Specializations,
)
from booking_tasks.enums import Fallback, RefusalCode, RequestStatus, SessionStatus

#: Why a consultant's start cannot be booked or held.
StartCode = Literal[
    RefusalCode.SLOT_NOT_FREE,
    RefusalCode.SLOT_TAKEN,
    RefusalCode.REQUESTER_BUSY,
    RefusalCode.NOTICE_TOO_SHORT,
    RefusalCode.BEYOND_HORIZON,
    RefusalCode.LIMIT_REACHED,
    RefusalCode.NOT_AVAILABLE_FOR_BOOKING,
    RefusalCode.SERVICE_NOT_OFFERED,
    RefusalCode.SERVICE_TYPE_INACTIVE,
]
SubmitCode = Literal[
    RefusalCode.UNKNOWN_SERVICE_TYPE,
    RefusalCode.SERVICE_TYPE_INACTIVE,
    RefusalCode.UNKNOWN_CONSULTANT,
    RefusalCode.UNKNOWN_REQUEST,
    RefusalCode.REQUEST_EXISTS,
    RefusalCode.WINDOW_OVER,
    RefusalCode.CONTRADICTORY_PREFERENCE,
    RefusalCode.IS_THE_REQUESTER,
    RefusalCode.PREFERRED_CANNOT,
    RefusalCode.NOBODY_LEFT,
]
#: Why a consultant's answer does not count.
AnswerCode = Literal[
    RefusalCode.NOT_WAITING,
    RefusalCode.NOT_ASSIGNED_CONSULTANT,
    RefusalCode.OTHER_CONFIRMATION_REQUEST,
]
ConfirmCode = Literal[AnswerCode, RefusalCode.UNKNOWN_REQUEST, RefusalCode.HOLD_EXPIRED]
DeclineCode = Literal[AnswerCode, RefusalCode.UNKNOWN_REQUEST]
CancelRequestCode = Literal[
    RefusalCode.UNKNOWN_REQUEST,
    RefusalCode.ALREADY_SCHEDULED,
    RefusalCode.ALREADY_ENDED,
]
#: Why a session can no longer be moved, reassigned or cancelled.
ChangeCode = Literal[RefusalCode.ALREADY_STARTED, RefusalCode.ALREADY_ENDED]
RescheduleCode = Literal[StartCode, ChangeCode, RefusalCode.UNKNOWN_SESSION]
CancelSessionCode = Literal[ChangeCode, RefusalCode.UNKNOWN_SESSION]


class FallbackCost(Contract):
    """The cost of choosing another consultant than the preferred one."""

    reason: str = Field(description="Why the preferred consultant was not chosen.")
    minutes_later: int | None = Field(
        None,
        description="Than the earliest start of the preferred one; negative: earlier; None: there is none.",
    )
    score_difference: float | None = Field(
        None, description="By how much the score of the preferred one would be higher with that start."
    )


class RequestOutcome(Outcome[CodeT_co], Generic[CodeT_co]):
    """The request after the command.

    `reason` says why it waits (`pending_assignment`) or how it ended. When this command chose a
    consultant, `start` and `end` are the booked time (`scheduled`) or the held time (`pending_confirmation`),
    and `fallback` is set when it is not the preferred one.
    """

    request_id: UUID | None = None
    status: RequestStatus | None = None
    reason: str | None = None
    consultant_user_id: UUID | None = None
    session_id: UUID | None = None
    start: Instant | None = None
    end: Instant | None = None
    fallback: FallbackCost | None = None

    def booked_requests(self) -> tuple[UUID, ...]:
        """Return the request, once a time is booked or held for its consultant's answer."""
        is_booked = self.status in (RequestStatus.SCHEDULED, RequestStatus.PENDING_CONFIRMATION)
        return (self.request_id,) if is_booked and self.request_id is not None else ()


class SubmitRequest(Command[RequestOutcome[SubmitCode]]):
    """Request a consultation. `done` means accepted; `status` says whether it is assigned already.

    `scheduled`: booked. `pending_confirmation`: held until the consultant answers. `pending_assignment`: it
    waits, and `reason` says for what. `pending`: accepted, to be assigned shortly.

    The preferred window contains the whole session. Without one, the earliest free time is chosen. The
    consultant needs one of the `languages`. `fallback` says who else may serve instead of the preferred
    consultant: `anyone` at once, anyone from `fallback_after` on (`wait`), or nobody (`only`).

    Codes when refused: `unknown_service_type`, `unknown_consultant`, `unknown_request` (replaces),
    `request_exists` (the request_id is used), `window_over` (preferred_end lies in the past),
    `contradictory_preference` (fallback, its time, exclusions and the preferred one do not go together),
    `is_the_requester` (the preferred consultant), `preferred_cannot` (only the preferred one, who cannot
    serve it), `nobody_left` (all who could are excluded).
    """

    task: ClassVar[str] = "submit_request"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = RequestOutcome[SubmitCode]

    request_id: UUID
    requester_user_id: UUID
    service_type_id: UUID
    company_id: UUID | None = None
    preferred_consultant_user_id: UUID | None = None
    preferred_start: Instant | None = None
    preferred_end: Instant | None = None
    fallback: Fallback = Fallback.ANYONE
    fallback_after: Instant | None = None
    excluded_consultant_user_ids: Ids = ()
    required_specializations: Specializations = ()
    languages: Languages = ()
    details: Prose | None = None
    replaces_request_id: UUID | None = None

    @model_validator(mode="after")
    def _window(self) -> SubmitRequest:
        if self.preferred_start and self.preferred_end and self.preferred_end <= self.preferred_start:
            raise ValueError("preferred_end must lie after preferred_start")
        return self


class ConfirmRequest(Command[RequestOutcome[ConfirmCode]]):
    """The assigned consultant confirms: the held start becomes a session.

    `confirmation_request_id`, where it is there, says which confirmation request is answered: the id of the
    event `request.confirmation_requested`.

    Codes when refused: `unknown_request`, `not_waiting`, `not_assigned_consultant`,
    `other_confirmation_request`, `hold_expired`.
    """

    task: ClassVar[str] = "confirm_request"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = RequestOutcome[ConfirmCode]

    request_id: UUID
    consultant_user_id: UUID
    confirmation_request_id: UUID | None = None


class DeclineRequest(Command[RequestOutcome[DeclineCode]]):
    """The assigned consultant declines; the request is assigned to somebody else.

    `confirmation_request_id` is that of confirm_request. Codes when refused: `unknown_request`,
    `not_waiting`, `not_assigned_consultant`, `other_confirmation_request`.
    """

    task: ClassVar[str] = "decline_request"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = RequestOutcome[DeclineCode]

    request_id: UUID
    consultant_user_id: UUID
    confirmation_request_id: UUID | None = None
    reason: Reason | None = None


class CancelRequest(Command[RequestOutcome[CancelRequestCode]]):
    """The requester withdraws a request that is not scheduled yet.

    Codes: `unknown_request`, `already_scheduled` (cancel the session instead), `already_ended`.
    """

    task: ClassVar[str] = "cancel_request"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = RequestOutcome[CancelRequestCode]

    request_id: UUID
    reason: Reason | None = None


class SessionOutcome(Outcome[CodeT_co], Generic[CodeT_co]):
    """The session after the command; `revision` is the SEQUENCE of the invite."""

    session_id: UUID | None = None
    status: SessionStatus | None = None
    revision: int | None = None
    start: Instant | None = None
    end: Instant | None = None

    def booked_sessions(self) -> tuple[UUID, ...]:
        """Return the session while it is ahead."""
        is_ahead = self.status == SessionStatus.SCHEDULED
        return (self.session_id,) if is_ahead and self.session_id is not None else ()


class RescheduleSession(Command[SessionOutcome[RescheduleCode]]):
    """Move a session to another start of the same consultant, which may overlap the old one.

    Codes: `unknown_session`, `already_started`, `already_ended`, `slot_not_free`, `slot_taken`,
    `requester_busy`, `notice_too_short`, `beyond_horizon`, `limit_reached`. A refused
    move changes nothing.
    """

    task: ClassVar[str] = "reschedule_session"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = SessionOutcome[RescheduleCode]

    session_id: UUID
    new_start: Instant
    reason: Reason | None = None


class CancelSession(Command[SessionOutcome[CancelSessionCode]]):
    """Cancel a session before it begins; a new booking needs a new request.

    Codes: `unknown_session`, `already_started`, `already_ended`.
    """

    task: ClassVar[str] = "cancel_session"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = SessionOutcome[CancelSessionCode]

    session_id: UUID
    cancelled_by: Literal["user", "consultant"]
    reason: Reason
