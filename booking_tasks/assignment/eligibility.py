"""Who can take a request, whatever the hour: each consultant or the first reason why not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from booking_tasks.availability.rules import NO_ALIASES, Aliases, has_specializations


@dataclass(frozen=True)
class Profile:
    """What the choice knows of a consultant. `service_type_ids` and `company_ids`: None is all."""

    consultant_user_id: UUID
    is_available_for_booking: bool = True
    specializations: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    service_type_ids: frozenset[UUID] | None = None
    company_ids: frozenset[UUID] | None = None
    weight: Decimal = Decimal(1)
    capacity: int | None = None
    tier: int = 3
    time_zone: str = "UTC"


@dataclass(frozen=True)
class Criteria:
    """What the choice knows of a request. Any of the languages will do; none means it does not matter."""

    requester_user_id: UUID
    service_type_id: UUID
    company_id: UUID | None = None
    preferred: UUID | None = None
    fallback: str = "anyone"
    fallback_after: datetime | None = None
    required_specializations: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    excluded: frozenset[UUID] = field(default_factory=frozenset)


#: Reasons, the furthest from a booking first: an empty choice is told by the last that anyone came to.
REASONS = (
    "not_available_for_booking",
    "is_the_requester",
    "service_not_offered",
    "not_for_company",
    "missing_specialization",
    "missing_language",
    "excluded",
    "not_the_preferred",
    "waits_for_preferred",
    "at_capacity",
    "no_free_time",
    "requester_busy",
    "lost_the_race",
)

#: What speaks against a consultant whatever the time: the others may be free another day.
LASTING = frozenset(REASONS[: REASONS.index("not_the_preferred") + 1])


def ineligibility_reason(profile: Profile, criteria: Criteria, aliases: Aliases = NO_ALIASES) -> str | None:
    """Why a consultant can never serve this request as they are, or None."""
    return next(_obstacles(profile, criteria, aliases), None)


def _obstacles(one: Profile, wish: Criteria, aliases: Aliases) -> Iterator[str]:
    if not one.is_available_for_booking:
        yield "not_available_for_booking"
    if one.consultant_user_id == wish.requester_user_id:
        yield "is_the_requester"
    if one.service_type_ids is not None and wish.service_type_id not in one.service_type_ids:
        yield "service_not_offered"
    if one.company_ids is not None and wish.company_id not in one.company_ids:
        yield "not_for_company"
    if not has_specializations(one.specializations, wish.required_specializations, aliases):
        yield "missing_specialization"
    if wish.languages and not has_language(one.languages, wish.languages):
        yield "missing_language"


def exclusion_reason(one: Profile, wish: Criteria, now: datetime) -> str | None:
    """Why a fit consultant is left out by the requester's own word, or None."""
    who = one.consultant_user_id
    if who in wish.excluded:
        return "excluded"
    if wish.preferred is None or who == wish.preferred or wish.fallback == "anyone":
        return None
    if wish.fallback == "only":
        return "not_the_preferred"
    waiting = wish.fallback_after is not None and now < wish.fallback_after
    return "waits_for_preferred" if waiting else None


def has_language(spoken: Iterable[str], tags_accepted: Iterable[str]) -> bool:
    """Whether one of the wanted languages is spoken: `de` is served by `de-AT`, not the other way round

    (basic filtering, RFC 4647 section 3.3.1).
    """
    tags = [tag.lower() + "-" for tag in spoken]
    return any(tag.startswith(one.lower() + "-") for one in tags_accepted for tag in tags)
