"""The public task of replies."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import ReceiveReply, ReplyOutcome
from booking_tasks.inbox.receiver import accepts
from booking_tasks.replies import service
from booking_tasks.replies.sandbox import read


def _received(db: Session, ctx: Context, command: ReceiveReply) -> ReplyOutcome:
    return service.receive(db, ctx, command, read(command.calendar))


receive_reply = accepts(ReceiveReply)(_received)
