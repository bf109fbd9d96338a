"""Preferences that contradict themselves, or leave nobody who could serve the request. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from booking_tasks.contracts import SubmitRequest
from booking_tasks.contracts.booking import SubmitCode
from booking_tasks.enums import Fallback, RefusalCode

#: What the preferred consultant may still become without the requester asking anew.
PASSING = frozenset({"not_available_for_booking"})


def contradiction(command: SubmitRequest, now: datetime, deadline: datetime) -> tuple[str, str] | None:
    """Return (field, problem) of preferences that contradict each other; None where they do not."""
    preferred, fallback, after = (
        command.preferred_consultant_user_id,
        command.fallback,
        command.fallback_after,
    )
    found = None
    if preferred is not None and preferred in command.excluded_consultant_user_ids:
        problem = "excludes the preferred consultant; leave out one of the two"
        found = "excluded_consultant_user_ids", problem
    elif preferred is None and fallback != Fallback.ANYONE:
        found = "fallback", f"{fallback} needs a preferred_consultant_user_id"
    elif fallback != Fallback.WAIT and after is not None:
        found = "fallback_after", "goes with fallback wait alone; leave it out"
    elif fallback == Fallback.WAIT and after is None:
        found = "fallback_after", "is needed with fallback wait: from when on anyone may serve"
    elif after is not None and after <= now:
        found = "fallback_after", "lies in the past; write fallback anyone instead"
    elif after is not None and after >= deadline:
        end = deadline.isoformat()
        found = "fallback_after", f"lies after the request's end ({end}); write fallback only instead"
    return found


def preference_refusal(
    command: SubmitRequest, reasons: Mapping[UUID, str | None]
) -> tuple[SubmitCode, str, str] | None:
    """(code, field, problem) when the preference leaves nobody who could ever serve, or None.

    `reasons` has each consultant with the first reason why they can never serve the request, or None. The
    requester's own exclusions are not among the reasons.
    """
    preferred = command.preferred_consultant_user_id
    if command.fallback == Fallback.ONLY and preferred is not None:
        reason = reasons.get(preferred)
        if reason is not None and reason not in PASSING:
            return (
                RefusalCode.PREFERRED_CANNOT,
                "preferred_consultant_user_id",
                f"cannot serve this: {reason}",
            )
    fit = {who for who, reason in reasons.items() if reason is None}
    if fit and fit <= set(command.excluded_consultant_user_ids):
        return RefusalCode.NOBODY_LEFT, "excluded_consultant_user_ids", "leaves nobody who could serve this"
    return None
