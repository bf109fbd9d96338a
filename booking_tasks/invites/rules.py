"""When a letter about a consultation or a request has lost its reason. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from booking_tasks.enums import RequestStatus
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

    consultant_user_id: UUID
    start: datetime
    end: datetime
    until: datetime


def why_not_invite(status: str, end: datetime, revision: int, job_revision: int, now: datetime) -> str | None:
    """Why an invitation or update must not go out any more, or None."""
    if status not in OPEN:
        return f"the session is {status}"
    if end <= now:
        return "the session is over"
    if revision != job_revision:
        return "superseded by a later revision"
    return None


def why_not_cancel(status: str, takes_part: bool, still_invited: bool, said_later: bool) -> str | None:
    """Why nothing has to be taken out of a calendar, or None.

    Who takes part in the session has it in their calendar while it is on; whose it is no more has not.
    """
    if takes_part and status in OPEN:
        return f"the session is {status}"
    if said_later:
        return "superseded by a later cancellation"
    return None if still_invited else "never invited"


def why_not_ask(status: str, assigned_to_recipient: bool, held_until: datetime, now: datetime) -> str | None:
    """Why a consultant's answer is not wanted any more, or None."""
    if status != RequestStatus.PENDING_CONFIRMATION:
        return f"the request is {status}"
    if not assigned_to_recipient:
        return "the request is assigned to someone else"
    return "the time to answer is over" if held_until <= now else None


def why_not_withdraw(status: str, assigned_to_recipient: bool, was_asked: bool) -> str | None:
    """Why a consultant need not hear that a question is withdrawn, or None."""
    if not was_asked:
        return "never asked"
    if status == RequestStatus.PENDING_CONFIRMATION and assigned_to_recipient:
        return "asked again since"
    return None


def why_not_offer(standing: str) -> str | None:
    """Why a requester need not hear of an offer any more, or None."""
    return None if standing == "open" else f"the offer is {standing}"


def why_not_take_out(*, in_calendar: bool, by_calendar: bool) -> str | None:
    """Why a question that its consultant declined need not be taken out of their calendar, or None."""
    if by_calendar:
        return "declined in the calendar"
    return None if in_calendar else "nothing of it is in a calendar"
