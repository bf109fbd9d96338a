"""Choosing a consultant: in which order, and the reason for everyone else. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from booking_tasks.assignment.eligibility import LASTING, REASONS, Profile
from booking_tasks.assignment.scoring import Circumstances, Terms, score_terms, total_score
from booking_tasks.context import Weights
from booking_tasks.credits.rules import Balance, queue_positions
from booking_tasks.kit.instants import to_iso
from booking_tasks.kit.time_zones import zone

#: Grows with every change of the choice's meaning; stored with each decision.
POLICY_VERSION = "2: weighted terms; ties to the longest idle, then the earliest, then by id"

Start = tuple[datetime, datetime]
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
#: What says nothing about how far a consultant came: nobody is there at all.
_NOBODY = ("not_available_for_booking", "is_the_requester")


@dataclass(frozen=True)
class Candidate:
    """One consultant as looked at for one request. `load` counts sessions and holds ahead of them.

    `starts` in order of time; `must_confirm`: a start of theirs is held until they answer. `terms` and
    `total` are those of the first start; who cannot has none.
    """

    consultant_user_id: UUID
    preferred: bool
    load: int
    starts: tuple[Start, ...] = ()
    rejected: str | None = None
    must_confirm: bool = False
    terms: Terms = field(default_factory=dict)
    total: float = 0.0
    idle_since: datetime | None = None
    capacity: int | None = None

    @property
    def is_able(self) -> bool:
        return self.rejected is None and bool(self.starts)

    def as_stored(self) -> dict[str, Any]:
        """The candidate as the stored decision shows it."""
        return {
            "consultant_user_id": str(self.consultant_user_id),
            "preferred": self.preferred,
            "load": self.load,
            "earliest_start": to_iso(self.starts[0][0]) if self.starts else None,
            "rejected": self.rejected,
            "terms": {term: round(value, 6) for term, value in self.terms.items()},
            "total": self.total if self.is_able else None,
        }


def scored_candidates(
    candidates: Iterable[Candidate],
    profiles: Mapping[UUID, Profile],
    standings: Mapping[UUID, Balance],
    about: Circumstances,
    weights: Weights,
) -> list[Candidate]:
    """The candidates with their terms and totals. Whose turn it is counts among those who can."""
    candidates = list(candidates)
    able = [one.consultant_user_id for one in candidates if one.is_able]
    queue = queue_positions({who: standings.get(who) or Balance(weight=profiles[who].weight) for who in able})
    made = []
    for one in candidates:
        if not one.is_able:
            made.append(one)
            continue
        who, (start, end) = one.consultant_user_id, one.starts[0]
        profile, standing = profiles[who], standings.get(who)
        terms = score_terms(profile, start, end, zone(profile.time_zone), queue[who], about)
        idle_since = standing.idle_since if standing else None
        made.append(replace(one, terms=terms, total=total_score(terms, weights), idle_since=idle_since))
    return made


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those who can, best first: highest total; ties to the longest idle, then earliest, then by id."""
    return sorted(
        (one for one in candidates if one.is_able),
        key=lambda one: (-one.total, one.idle_since or _LONG_AGO, one.starts[0][0], one.consultant_user_id),
    )


#: Why nobody is chosen when everyone who could was asked and did not take it.
ALL_DECLINED = "all_declined"


def unassigned_reason(candidates: Iterable[Candidate], declined: Collection[UUID] = ()) -> str:
    """The reason of an empty choice: the furthest that anyone came.

    `declined` are those who were asked about the request and declined or stayed silent.
    """
    reasons = {one.rejected for one in candidates}
    if declined and reasons <= LASTING:
        return ALL_DECLINED
    reasons -= set(_NOBODY)
    return max((one for one in REASONS if one in reasons), key=REASONS.index, default="no_consultant")
