"""`booking-tasks reply`: a mail from standard input, handed on as the message `receive_reply`."""

from __future__ import annotations

import time
from typing import BinaryIO

from booking_tasks.client import BookingClient, NoAnswerError, NotSentError
from booking_tasks.contracts import ReceiveReply
from booking_tasks.kit.settings import Settings
from booking_tasks.replies.mail import LARGEST_MAIL, CalendarMail, NotForUsError, read

#: What tells a mail server to keep the mail and try again (sysexits.h, EX_TEMPFAIL).
TRY_AGAIN = 75
_EACH_WAIT = 10.0


def hand_on(mail: BinaryIO, config: Settings, seconds: float) -> tuple[int, str]:
    """Exit code, and one line about what became of the mail; it names neither sender nor content.

    0 also for what is no reply or was refused: a mail server would tell the sender otherwise, who may be
    anybody. Only without an answer in `seconds` the mail is to be delivered again; it is the same message.
    """
    raw = mail.read(LARGEST_MAIL + 1)
    while mail.read(LARGEST_MAIL):  # a mail server that cannot write to the end takes that for a failure
        pass
    try:
        found = read(raw, config.reply_authserv)
    except NotForUsError as reason:
        return 0, f"ignored: {reason}"
    client = BookingClient(config.broker, config.results)
    try:
        return _answered(client, found, time.monotonic() + seconds)
    finally:
        client.close()


def _answered(client: BookingClient, found: CalendarMail, end: float) -> tuple[int, str]:
    command = ReceiveReply(
        message_id=found.message_id,
        actor="mail gateway",
        sender=found.sender,
        calendar=found.calendar,
        authenticated=found.authenticated,
    )
    why = "nobody answered"
    while (left := end - time.monotonic()) > 0:
        try:
            outcome = client.send(command, wait=True).outcome(timeout=min(_EACH_WAIT, left))
        except (NotSentError, NoAnswerError) as error:
            why = type(error).__name__
            time.sleep(min(0.2, max(0.0, end - time.monotonic())))
            continue
        return 0, f"{outcome.result} {outcome.code or ''}".strip() + f" ({command.message_id})"
    return TRY_AGAIN, f"no answer in time ({why}); deliver it again"
