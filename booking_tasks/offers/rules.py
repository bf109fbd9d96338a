"""How long an offer stands, how long its requester is then left in peace, and how it stands now. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from booking_tasks.enums import OfferState

#: No pause between offers is longer.
LONGEST_COOLDOWN = timedelta(days=1)
#: Why a request waits that was offered time and did not take it: the ends of the events' names.
NOT_TAKEN = frozenset({"offer_declined", "offer_lapsed"})


def offer_end(now: datetime, term: timedelta, start: datetime, deadline: datetime | None) -> datetime:
    """When an offer made now ends: after `term`, by the start, and by the request's own deadline."""
    return min(now + term, start, deadline or start)


def cooldown(lapses: int, term: timedelta) -> timedelta:
    """How long somebody who let offers lapse (1 is the first) is offered nothing: doubling, up to a day.

    Who is asleep is not written to every half hour, and keeps no time from those who would answer.
    """
    ceiling: timedelta = term * (1 << min(lapses - 1, 20))
    return min(LONGEST_COOLDOWN, ceiling)


def effective_state(state: str, offered_until: datetime, now: datetime) -> str:
    """The offer's state as of now: an open one whose time is over has lapsed, whoever says so."""
    return "lapsed" if state == OfferState.OPEN and offered_until <= now else state
