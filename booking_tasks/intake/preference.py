"""What cannot be asked for together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from uuid import UUID

from booking_tasks.contracts import SubmitRequest
from booking_tasks.contracts.booking import SubmitCode
from booking_tasks.enums import RefusalCode

#: What the preferred consultant may still become without the requester asking anew.
PASSING = frozenset({"not_available_for_booking"})


def contradiction(command: SubmitRequest, now: datetime, deadline: datetime) -> tuple[str, str] | None:
    """(field, problem) of a preference that contradicts itself, or None."""
    return next(_contradictions(command, now, deadline), None)


def _contradictions(command: SubmitRequest, now: datetime, deadline: datetime) -> Iterator[tuple[str, str]]:
    preferred, after = command.preferred_consultant_user_id, command.fallback_after
    if preferred is not None and preferred in command.excluded_consultant_user_ids:
        yield "excluded_consultant_user_ids", "excludes the preferred consultant; leave out one of the two"
    if preferred is None and command.fallback != "anyone":
        yield "fallback", f"{command.fallback} needs a preferred_consultant_user_id"
    if command.fallback != "wait":
        if after is not None:
            yield "fallback_after", "goes with fallback wait alone; leave it out"
    elif after is None:
        yield "fallback_after", "is needed with fallback wait: from when on anyone may serve"
    elif after <= now:
        yield "fallback_after", "lies in the past; write fallback anyone instead"
    elif after >= deadline:
        end = deadline.isoformat()
        yield "fallback_after", f"lies after the request's end ({end}); write fallback only instead"


def preference_refusal(
    command: SubmitRequest, obstacles: Mapping[UUID, str | None]
) -> tuple[SubmitCode, str, str] | None:
    """(code, field, problem) when the preference leaves nobody who could ever serve, or None.

    `obstacles`: everyone with the first reason why not, as far as the request's own word does not matter.
    """
    preferred = command.preferred_consultant_user_id
    if command.fallback == "only" and preferred is not None:
        obstacle = obstacles.get(preferred)
        if obstacle is not None and obstacle not in PASSING:
            return (
                RefusalCode.PREFERRED_CANNOT,
                "preferred_consultant_user_id",
                f"cannot serve this: {obstacle}",
            )
    fit = {who for who, obstacle in obstacles.items() if obstacle is None}
    if fit and fit <= set(command.excluded_consultant_user_ids):
        return RefusalCode.NOBODY_LEFT, "excluded_consultant_user_ids", "leaves nobody who could serve this"
    return None
