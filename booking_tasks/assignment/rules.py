"""Choosing a consultant: who can, in which order, and the reason for everyone else."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

#: Grows with every change of the choice's meaning; stored with each decision.
POLICY_VERSION = "1: preferred, least loaded, earliest, then id"

Start = tuple[datetime, datetime]


@dataclass(frozen=True)
class Candidate:
    """One consultant as looked at for one request. `load` counts sessions and holds ahead of them;

    `must_confirm`: a start of theirs is held until they answer.
    """

    consultant_user_id: UUID
    preferred: bool
    load: int
    starts: tuple[Start, ...] = ()
    rejected: str | None = None
    must_confirm: bool = False

    def terms(self) -> dict[str, Any]:
        """The candidate as the stored decision shows it."""
        return {
            "consultant_user_id": str(self.consultant_user_id),
            "preferred": self.preferred,
            "load": self.load,
            "earliest_start": self.starts[0][0].isoformat() if self.starts else None,
            "rejected": self.rejected,
        }


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those who can, best first: preferred, then least loaded, then earliest, then by id."""
    able = [one for one in candidates if one.rejected is None and one.starts]
    return sorted(
        able, key=lambda one: (not one.preferred, one.load, one.starts[0][0], one.consultant_user_id)
    )


#: Why nobody is chosen when everyone who could was asked and did not take it.
ALL_DECLINED = "all_declined"
#: What speaks against a consultant whatever the time: the others may be free another day.
LASTING = frozenset({"excluded", "missing_specialization", "is_the_requester", "not_available_for_booking"})


def why_nobody(candidates: Iterable[Candidate], declined: Collection[UUID] = ()) -> str:
    """The reason of an empty choice: the furthest that anyone came.

    `declined` are those who were asked about the request and declined or stayed silent.
    """
    reasons = {one.rejected for one in candidates}
    if declined and reasons <= LASTING:
        return ALL_DECLINED
    for reason in ("lost_the_race", "requester_busy", "no_free_time", "excluded", "missing_specialization"):
        if reason in reasons:
            return reason
    return "no_consultant"
