"""What came back from people's calendars: a message of the replies queue."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from booking_tasks.contracts.base import Command, Outcome, Queue
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


#: The largest calendar text that is taken, in characters; a reply has about a thousand.
LONGEST_REPLY = 20_000


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain the NUL character")
    return text


class ReplyOutcome(Outcome[ReplyCode]):
    """Whose answer it was taken for: that of a question, or of a session that is agreed."""

    request_id: UUID | None = None
    session_id: UUID | None = None
    answer: ReplyAnswer | None = None


class ReceiveReply(Command[ReplyOutcome]):
    """Hand on a calendar's reply (iTIP, METHOD:REPLY), as it came by mail to the service's own address.

    `sender` is the address in the mail's From, `calendar` the text of its text/calendar part.
    `authenticated` says whether the receiving mail server found that the mail is really from there (DMARC);
    None: nobody looked. `booking-tasks reply` makes this message of a mail.

    An answer to a question confirms or declines it. An answer to an agreed session is written down
    (`session.reply_recorded`) and changes nothing: whoever wants to cancel sends cancel_session.

    Codes: `unreadable`, `not_a_reply`, `counter_proposal`, `not_authenticated`, `unknown_event`,
    `wrong_person`, `stale` (to an earlier revision), `no_answer` (tentative: the question still waits),
    `already_ended`, and those of confirm_request and decline_request.
    """

    task: ClassVar[str] = "receive_reply"
    queue: ClassVar[Queue] = "replies"
    outcome: ClassVar[type[Outcome]] = ReplyOutcome

    sender: Annotated[str, Field(max_length=254, pattern=r"^[^\s@<>,;]+@[A-Za-z0-9.-]+$", repr=False)]
    calendar: Annotated[str, Field(max_length=LONGEST_REPLY, repr=False), AfterValidator(_storable)]
    authenticated: bool | None = None
