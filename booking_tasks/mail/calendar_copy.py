"""What one person may be shown of a consultation or a request. Pure values.

A mail and its calendar part are composed from these values alone, so that they contain nothing of the other
side beyond the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from booking_tasks.enums import ReplyAnswer
from booking_tasks.kit.signed_links import Links
from booking_tasks.mail.dates import Language
from booking_tasks.mail.message import Mailbox


@dataclass(frozen=True)
class Sender:
    """The service as the sender of mail.

    UIDs and Message-IDs end in `uid_domain`. Without `links`, mail contains no links. `calendar_replies` says
    whether the answers of calendars are read.
    """

    mailbox: Mailbox
    uid_domain: str
    links: Links | None = None
    calendar_replies: bool = True


@dataclass(frozen=True)
class MailRecipient:
    """The person whom a mail goes to, with their time zone and language."""

    mailbox: Mailbox
    time_zone: str
    language: Language


@dataclass(frozen=True)
class CalendarCopy:
    """A consultation as one side sees it. `details` is the requester's description, for consultants only.

    `answer_until` makes it a confirmation request; `answer` is the reader's last answer to what was asked.
    """

    session_id: UUID
    revision: int
    revised_at: datetime
    created_at: datetime
    start: datetime
    end: datetime
    service: str
    recipient: MailRecipient
    counterpart: str
    join_url: str | None
    details: str | None
    answer_until: datetime | None = None
    answer: ReplyAnswer | None = None
