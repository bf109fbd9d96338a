"""Outside calendars of consultants: commands and a query of the admin queue."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Generic, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field

from booking_tasks.contracts.base import CodeT_co, Command, CommonCode, Contract, Line, Outcome, Query, Queue
from booking_tasks.enums import FeedType, RefusalCode


def _https(url: str) -> str:
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be written in ASCII without spaces; encode the rest with %")
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named or parts.scheme != "https":
        raise ValueError("must be an address like https://calendar.example.org/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a password; give username and password in their own fields")
    return url


SetFeedCode = Literal[
    RefusalCode.UNKNOWN_CONSULTANT,
    RefusalCode.OTHER_CONSULTANT,
    RefusalCode.PRIVATE_ADDRESS,
    RefusalCode.TOO_MANY_FEEDS,
]


#: Opens somebody's calendar: never shown, not even when a message is printed.
Secret = Annotated[str | None, Field(max_length=1000, repr=False)]
CalendarUrl = Annotated[str, Field(max_length=2000, repr=False), AfterValidator(_https)]
MailAddress = Annotated[str, Field(max_length=254, pattern=r"^[^\s@<>,;]+@[A-Za-z0-9.-]+$")]


class CalendarFeedOutcome(Outcome[CodeT_co], Generic[CodeT_co]):
    """The calendar as stored."""

    feed_id: UUID | None = None


class SetCalendarFeed(Command[CalendarFeedOutcome[SetFeedCode]]):
    """Add an outside calendar to a consultant, or change one. It is read within a minute.

    `ics`: `url` is the calendar itself (iCalendar over https). `caldav`: `url` is the collection of one
    calendar on a CalDAV server. With `username`, both are sent by HTTP Basic authentication.
    `addresses` are the mail addresses under which the consultant is invited there, so that what they
    declined does not block. `all_day_busy` takes whole days as busy even when they are marked free.

    Until the changed calendar has been read, what was read before stays. Codes when refused:
    `unknown_consultant`, `other_consultant` (the feed belongs to somebody else), `private_address`,
    `too_many_feeds`.
    """

    task: ClassVar[str] = "set_calendar_feed"
    queue: ClassVar[Queue] = "admin"
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
    """Forget an outside calendar and the busy time that came from it."""

    task: ClassVar[str] = "remove_calendar_feed"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = CalendarFeedOutcome[CommonCode]

    feed_id: UUID


class CoveredSession(Contract):
    """A consultation that an outside calendar covers, in part or whole: it stays where it is."""

    session_id: UUID
    reason: Line = Field(description="`outside_calendar`")


class CalendarFeedState(Contract):
    """How it stands with one outside calendar. What opens it is not told."""

    feed_id: UUID
    consultant_user_id: UUID
    feed_type: FeedType
    good_at: datetime | None = Field(description="When the busy time was last known to be right.")
    age_minutes: int | None = Field(description="How old that copy is; null when there is none yet.")
    stale: bool = Field(description="Older than BOOKING_CALENDAR_STALE_AFTER.")
    tried_at: datetime | None
    failures: int = Field(description="In a row.")
    last_error: str | None
    busy_pieces: int = Field(description="Stretches of busy time in the ledger that came from it.")
    unreadable: int = Field(description="Entries of it that nobody could make sense of: they do not block.")
    covered: tuple[CoveredSession, ...] = ()


class CalendarFeedsOutcome(Outcome[CommonCode]):
    """The calendars that were asked for, in the order of their ids."""

    feeds: tuple[CalendarFeedState, ...] = ()


class ListCalendarFeeds(Query[CalendarFeedsOutcome]):
    """How it stands with outside calendars: of one consultant, or the first `limit` after `after`."""

    task: ClassVar[str] = "list_calendar_feeds"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = CalendarFeedsOutcome

    consultant_user_id: UUID | None = None
    after: UUID | None = Field(None, description="The last feed_id of the page before.")
    limit: int = Field(100, ge=1, le=500)
