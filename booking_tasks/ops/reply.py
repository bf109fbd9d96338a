"""`booking-tasks reply`: sends the calendar reply of a mail as the message `receive_reply`."""

from __future__ import annotations

import time
from typing import BinaryIO

from booking_tasks.client import BookingClient, NoAnswerError, NotSentError
from booking_tasks.contracts import ReceiveReply
from booking_tasks.enums import Authentication
from booking_tasks.kit.settings import Settings
from booking_tasks.replies.mail import LARGEST_MAIL, CalendarMail, NotForUsError, read

#: The exit code after which a mail server keeps the mail and tries again (sysexits.h, EX_TEMPFAIL).
TRY_AGAIN = 75
_EACH_WAIT = 10.0
_PROVEN: dict[Authentication, bool | None] = {
    Authentication.PASSED: True,
    Authentication.FAILED: False,
    Authentication.UNREADABLE: False,
    Authentication.UNCHECKED: None,
}


def forward_reply(mail: BinaryIO, config: Settings, seconds: float) -> tuple[int, str]:
    """Send the reply, and return the exit code and one line without sender and content.

    The code is 0 also for a mail that is no reply or was refused: otherwise a mail server would report to the
    sender, who may be anybody. Only without an answer in `seconds` the mail must be delivered again; it has
    the same message id then.
    """
    raw = mail.read(LARGEST_MAIL + 1)
    while mail.read(LARGEST_MAIL):  # read to the end, because a broken pipe is a failure for the mail server
        pass
    try:
        found = read(raw, config.reply_authserv)
    except NotForUsError as reason:
        return 0, f"ignored: {reason}"
    client = BookingClient(config.broker, config.results)
    try:
        return _send(client, found, time.monotonic() + seconds)
    finally:
        client.close()


def _send(client: BookingClient, found: CalendarMail, end: float) -> tuple[int, str]:
    command = ReceiveReply(
        message_id=found.message_id,
        actor="mail gateway",
        sender=found.sender,
        calendar=found.calendar,
        authenticated=_PROVEN[found.authentication],
    )
    error_name = "nobody answered"
    while (left := end - time.monotonic()) > 0:
        try:
            outcome = client.send(command, wait=True).outcome(timeout=min(_EACH_WAIT, left))
        except (NotSentError, NoAnswerError) as error:
            error_name = type(error).__name__
            time.sleep(min(0.2, max(0.0, end - time.monotonic())))
            continue
        code = f" {outcome.code}" if outcome.code else ""
        return 0, f"{outcome.result}{code} ({command.message_id}; sender {found.authentication})"
    return TRY_AGAIN, f"no answer in time ({error_name}); deliver it again"
