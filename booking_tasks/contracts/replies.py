"""Replies of calendars: a command of the replies queue."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from booking_tasks.contracts.base import Command, Outcome, PublicQueue, storable
from booking_tasks.contracts.booking import ConfirmCode
from booking_tasks.enums import RefusalCode, ReplyAnswer

ReplyCode = Literal[
    RefusalCode.UNREADABLE,
    RefusalCode.NOT_A_REPLY,
    RefusalCode.COUNTER_PROPOSAL,
    RefusalCode.NOT_AUTHENTICATED,
    RefusalCode.UNKNOWN_EVENT,
    RefusalCode.WRONG_PERSON,
    RefusalCode.STALE,
    RefusalCode.NO_ANSWER,
    RefusalCode.ALREADY_ENDED,
    ConfirmCode,
]


#: The longest calendar text that is accepted, in characters. A reply has about a thousand; in many, the text
#: that we sent comes back: 10,000 characters of details, each perhaps escaped, and the folds of the lines.
LONGEST_REPLY = 50_000


class ReplyOutcome(Outcome[ReplyCode]):
    """The confirmation request or the session that the reply answers, and the answer."""

    request_id: UUID | None = None
    session_id: UUID | None = None
    answer: ReplyAnswer | None = None

    def booked_requests(self) -> tuple[UUID, ...]:
        """Return the request that the answer confirmed."""
        is_confirmed = self.answer == ReplyAnswer.ACCEPTED
        return (self.request_id,) if is_confirmed and self.request_id is not None else ()


class ReceiveReply(Command[ReplyOutcome]):
    """Receive a calendar's reply (iTIP, METHOD:REPLY), which came by mail to the service's address.

    `sender` is the address in the mail's From, `calendar` the text of its text/calendar part.
    `authenticated` says whether the receiving mail server authenticated the sender (DMARC); None: it was not
    checked. Without `true` nothing is changed (`not_authenticated`); BOOKING_REPLY_UNAUTHENTICATED can accept
    None. `booking-tasks reply` makes this message of a mail.

    A reply to a confirmation request confirms or declines it. A reply to a session is recorded
    (`session.reply_recorded`) and changes nothing: cancel_session cancels.

    Codes: `unreadable`, `not_a_reply`, `counter_proposal`, `not_authenticated`, `unknown_event`,
    `wrong_person`, `stale` (to an earlier revision), `no_answer` (tentative: the confirmation request stays
    open), `already_ended`, and those of confirm_request and decline_request.
    """

    task: ClassVar[str] = "receive_reply"
    queue: ClassVar[PublicQueue] = "replies"
    outcome: ClassVar[type[Outcome]] = ReplyOutcome

    sender: Annotated[str, Field(max_length=254, pattern=r"^[^\s@<>,;]+@[A-Za-z0-9.-]+$", repr=False)]
    calendar: Annotated[str, Field(max_length=LONGEST_REPLY, repr=False), AfterValidator(storable)]
    authenticated: bool | None = None
