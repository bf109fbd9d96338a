"""What each mailbox holds of a session, or of the confirmation request before it: the last mail to it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from booking_tasks.enums import InviteMethod, Party
from booking_tasks.models.base import Base, CreatedAt, Key, one_of


class SessionMailbox(Base):
    """The last invitation or cancellation of a calendar entry that may have reached one mailbox.

    `scheduled_session_id` is the UID of the entry: the id of the session, also before there is one, because
    the session takes the id of its confirmation request. `is_tentative` is set while the last REQUEST was
    that of the confirmation request. Rows of earlier releases can have no `consultation_request_id`.

    `mailbox` is the address in lower case, and `address` as it was written to. `user_id` and `party` are the
    side that was written to there. `method` is REQUEST while the entry may be in that mailbox, and `sequence`
    the SEQUENCE of the last mail; `invited_sequence` is that of the first REQUEST since the mailbox was
    without the entry. `content_digest` tells whether the entry there shows what it should; None when a
    confirmation request came without one. `sent_at` is when the mail server took the mail, None while that is
    unknown. `job_id` is the job of the last mail.
    """

    __tablename__ = "session_mailboxes"
    __table_args__ = (
        one_of("method", InviteMethod),
        one_of("party", Party),
        CheckConstraint("mailbox = lower(address)", name="mailbox"),
        CheckConstraint("sequence >= invited_sequence AND invited_sequence >= 0", name="sequence"),
        UniqueConstraint(
            "scheduled_session_id", "mailbox", name="uq_session_mailboxes_scheduled_session_id_mailbox"
        ),
        Index(None, "consultation_request_id"),
    )

    id: Mapped[Key]
    scheduled_session_id: Mapped[UUID]
    user_id: Mapped[UUID]
    party: Mapped[str]
    mailbox: Mapped[str]
    address: Mapped[str]
    method: Mapped[str]
    sequence: Mapped[int]
    invited_sequence: Mapped[int]
    content_digest: Mapped[str | None]
    job_id: Mapped[UUID | None]
    sent_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime | None]
    consultation_request_id: Mapped[UUID | None] = mapped_column(ForeignKey("consultation_requests.id"))
    is_tentative: Mapped[bool] = mapped_column(server_default=text("false"))
