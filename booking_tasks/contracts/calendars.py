"""Outside calendars of consultants: commands and a query of the admin queue."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Generic, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field

from booking_tasks.contracts.base import (
    CodeT_co,
    Command,
    CommonCode,
    Contract,
    Line,
    Outcome,
    PublicQueue,
    Query,
)
from booking_tasks.enums import FeedType, RefusalCode

#: How calendars write the address of a subscription; it is read over https.
_SUBSCRIPTIONS = frozenset({"webcal", "webcals"})


def _https(url: str) -> str:
    """Return the https address, also of one for subscriptions. Raises ValueError."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be written in ASCII without spaces; encode the rest with %")
    scheme, colon, rest = url.partition(":")
    if scheme.lower() in _SUBSCRIPTIONS:
        url = "https" + colon + rest
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named or parts.scheme != "https":
        raise ValueError("must be an address like https://calendar.example.org/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a password; use the fields username and password")
    return url


SetFeedCode = Literal[
    RefusalCode.UNKNOWN_CONSULTANT,
    RefusalCode.OTHER_CONSULTANT,
    RefusalCode.PRIVATE_ADDRESS,
    RefusalCode.TOO_MANY_FEEDS,
]


#: A secret of a calendar; it is not shown when a message is printed.
Secret = Annotated[str | None, Field(max_length=1000, repr=False)]
CalendarUrl = Annotated[str, Field(max_length=2000, repr=False), AfterValidator(_https)]
MailAddress = Annotated[str, Field(max_length=254, pattern=r"^[^\s@<>,;]+@[A-Za-z0-9.-]+$")]


class CalendarFeedOutcome(Outcome[CodeT_co], Generic[CodeT_co]):
    """The calendar as stored."""

    feed_id: UUID | None = None


class SetCalendarFeed(Command[CalendarFeedOutcome[SetFeedCode]]):
    """Add or change an outside calendar of a consultant; it is read within a minute.

    `ics`: `url` is the calendar itself (iCalendar over https; `webcal://` is taken as https). `caldav`: `url`
    is the collection of one calendar on a CalDAV server. With `username`, both are sent by HTTP Basic
    authentication. `addresses` are the mail addresses of the consultant in it, so that events which they
    declined do not block. `all_day_busy` treats all-day events as busy even when they are marked free.

    Until a changed calendar has been read, the busy time from before stays. Codes when refused:
    `unknown_consultant`, `other_consultant` (the feed belongs to another consultant), `private_address`,
    `too_many_feeds`.
    """

    task: ClassVar[str] = "set_calendar_feed"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = CalendarFeedOutcome[SetFeedCode]

    feed_id: UUID
    consultant_user_id: UUID
    feed_type: FeedType
    url: CalendarUrl
    username: Secret = None
    password: Secret = None
    addresses: Annotated[tuple[MailAddress, ...], Field(max_length=20, repr=False)] = ()
    all_day_busy: bool = False


class RemoveCalendarFeed(Command[CalendarFeedOutcome[CommonCode]]):
    """Remove an outside calendar and its busy time."""

    task: ClassVar[str] = "remove_calendar_feed"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = CalendarFeedOutcome[CommonCode]

    feed_id: UUID


class CoveredSession(Contract):
    """A session that an outside calendar covers partly or wholly; it is not moved."""

    session_id: UUID
    reason: Line = Field(description="`outside_calendar`")


class CalendarFeedState(Contract):
    """The state of one outside calendar, without its address and password."""

    feed_id: UUID
    consultant_user_id: UUID
    feed_type: FeedType
    good_at: datetime | None = Field(description="When the busy time was last read or found unchanged.")
    age_minutes: int | None = Field(description="The age of that copy; null when there is none yet.")
    stale: bool = Field(description="Older than BOOKING_CALENDAR_STALE_AFTER.")
    tried_at: datetime | None
    failures: int = Field(description="The number of failed reads in a row.")
    last_error: str | None
    busy_pieces: int = Field(description="The number of its busy times in the ledger.")
    unreadable: int = Field(description="The number of its entries that were not fully understood.")
    missing_time: int = Field(
        0,
        description="Of these, the entries that may take more time than was read: see"
        " BOOKING_CALENDAR_UNREADABLE. The others block in the consultant's zone.",
    )
    superseded: int = Field(0, description="Older versions of entries, which take no time.")
    ambiguous: int = Field(0, description="Entries of one UID and one version, which all block.")
    covered: tuple[CoveredSession, ...] = ()


class CalendarFeedsOutcome(Outcome[CommonCode]):
    """The requested calendars, in the order of their ids."""

    feeds: tuple[CalendarFeedState, ...] = ()


class ListCalendarFeeds(Query[CalendarFeedsOutcome]):
    """List the state of outside calendars: of one consultant, or the first `limit` after `after`."""

    task: ClassVar[str] = "list_calendar_feeds"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = CalendarFeedsOutcome

    consultant_user_id: UUID | None = None
    after: UUID | None = Field(None, description="The last feed_id of the previous page.")
    limit: int = Field(100, ge=1, le=500)
