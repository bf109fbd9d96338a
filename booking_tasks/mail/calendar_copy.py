"""What one person may be shown of a consultation or a request. Pure values.

A letter and its calendar part are written from these alone, so that nothing of the other side's can
slip into them beyond the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from booking_tasks.kit.signed_links import Links
from booking_tasks.mail.dates import Language
from booking_tasks.mail.message import Mailbox


@dataclass(frozen=True)
class House:
    """Who writes: the service's mailbox, the domain that its UIDs and Message-IDs end in, and how links

    are made; None: letters carry none. `calendar_replies`: what calendars answer is read.
    """

    mailbox: Mailbox
    uid_domain: str
    links: Links | None = None
    calendar_replies: bool = True


@dataclass(frozen=True)
class Person:
    """Whom a letter goes to, with the zone and language they read in."""

    mailbox: Mailbox
    time_zone: str
    language: Language


@dataclass(frozen=True)
class Copy:
    """A consultation as one side sees it. `details` is the requester's description: consultants only.

    `answer_until` makes it a question, whether its consultant takes it; `accepted` is one who said yes.
    """

    session_id: UUID
    revision: int
    revised_at: datetime
    created_at: datetime
    start: datetime
    end: datetime
    service: str
    recipient: Person
    counterpart: str
    join_url: str | None
    details: str | None
    answer_until: datetime | None = None
    accepted: bool = False
