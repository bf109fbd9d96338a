"""When an offer ends, the pause after one that was not answered, and the state as of now. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from booking_tasks.enums import OfferState

#: The longest pause between two offers.
LONGEST_COOLDOWN = timedelta(days=1)
#: The reasons of a request that waits after an offer: the ends of the events' names.
NOT_TAKEN = frozenset({"offer_declined", "offer_lapsed"})


def offer_end(now: datetime, term: timedelta, start: datetime, deadline: datetime | None) -> datetime:
    """Return when an offer made now ends: after `term`, at the start or at the deadline of the request."""
    return min(now + term, start, deadline or start)


def cooldown(lapses: int, term: timedelta) -> timedelta:
    """Return the pause after an offer that was not answered; `lapses` is how many there were, 1 or more.

    It doubles with each, up to a day: somebody who does not answer gets no mail every half hour, and keeps
    no time from others who would.
    """
    ceiling: timedelta = term * (1 << min(lapses - 1, 20))
    return min(LONGEST_COOLDOWN, ceiling)


def effective_state(state: str, offered_until: datetime, now: datetime) -> str:
    """Return the state as of now: an open offer whose time is over has lapsed, before a sweep says so."""
    return OfferState.LAPSED if state == OfferState.OPEN and offered_until <= now else state
