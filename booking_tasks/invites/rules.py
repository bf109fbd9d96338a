"""When a mail about a consultation or a request has no reason any more. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from booking_tasks.enums import OfferState, RequestStatus, StepState
from booking_tasks.states import OPEN


@dataclass(frozen=True)
class HeldTime:
    """The consultation's time that is kept for a request, and until when."""

    start: datetime
    end: datetime
    until: datetime


@dataclass(frozen=True)
class ProposedTime:
    """A time that is kept for a requester instead of the agreed one, with whom, and until when."""

    id: UUID
    consultant_user_id: UUID
    start: datetime
    end: datetime
    until: datetime


def invite_skip_reason(
    status: str, end: datetime, revision: int, job_revision: int, now: datetime
) -> str | None:
    """Why an invitation or update must not go out any more, or None."""
    if status not in OPEN:
        return f"the session is {status}"
    if end <= now:
        return "the session is over"
    if revision != job_revision:
        return "superseded by a later revision"
    return None


def cancellation_skip_reason(status: str, takes_part: bool, is_invited: bool, has_later: bool) -> str | None:
    """Why nothing has to be removed from a calendar, or None.

    Who takes part in the session keeps it in the calendar while it is open; a former consultant does not.
    """
    if takes_part and status in OPEN:
        return f"the session is {status}"
    if has_later:
        return "superseded by a later cancellation"
    return None if is_invited else "never invited"


def confirmation_skip_reason(
    status: str, assigned_to_recipient: bool, held_until: datetime, now: datetime
) -> str | None:
    """Why a consultant need not answer any more, or None."""
    if status != RequestStatus.PENDING_CONFIRMATION:
        return f"the request is {status}"
    if not assigned_to_recipient:
        return "the request is assigned to someone else"
    return "the time to answer is over" if held_until <= now else None


def withdrawal_skip_reason(status: str, assigned_to_recipient: bool, was_requested: bool) -> str | None:
    """Why a consultant need not be notified that a confirmation request is withdrawn, or None."""
    if not was_requested:
        return "never requested"
    if status == RequestStatus.PENDING_CONFIRMATION and assigned_to_recipient:
        return "requested again since"
    return None


def offer_skip_reason(state: str) -> str | None:
    """Why a requester need not be notified of an offer any more, or None."""
    return None if state == OfferState.OPEN else f"the offer is {state}"


def removal_skip_reason(*, in_calendar: bool, by_calendar: bool) -> str | None:
    """Why a declined confirmation request need not be removed from the consultant's calendar, or None."""
    if by_calendar:
        return "declined in the calendar"
    return None if in_calendar else "nothing of it is in a calendar"


def proposal_state(
    state: str, answer_by: datetime, cancelled_at: datetime | None, now: datetime
) -> OfferState:
    """What became of a proposed time, in the words of an offer.

    A proposal that is declined or not answered cancels the session; only the time of that tells which it was.
    """
    if state == StepState.OFFERED:
        return OfferState.OPEN if now < answer_by else OfferState.LAPSED
    if state == StepState.DONE:
        return OfferState.ACCEPTED
    if state == StepState.CANCELLED and cancelled_at is not None:
        return OfferState.DECLINED if cancelled_at < answer_by else OfferState.LAPSED
    return OfferState.WITHDRAWN
