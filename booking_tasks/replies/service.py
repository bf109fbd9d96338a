"""Receiving a reply: an answer to a confirmation request, or a reply to a session."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import ConfirmRequest, DeclineRequest, ReceiveReply, ReplyOutcome
from booking_tasks.contracts.booking import ConfirmCode, RequestOutcome
from booking_tasks.enums import Party, RefusalCode, ReplyAnswer, Resolution
from booking_tasks.intake import service as intake
from booking_tasks.models import ScheduledSession
from booking_tasks.outbox import service as outbox
from booking_tasks.replies import store
from booking_tasks.replies.rules import Rejected, Reply, entry_of, is_from, is_stale
from booking_tasks.requests.confirmation_requests import ConfirmationRequest, confirmation_request
from booking_tasks.sessions.store import locked_session
from booking_tasks.states import OPEN

_refused = ReplyOutcome.refusal


def receive(db: Session, ctx: Context, command: ReceiveReply, reply: Reply | Rejected) -> ReplyOutcome:
    """Handle a reply; `reply` is what was read of the command's calendar text."""
    if command.authenticated is False:
        return _refused(RefusalCode.NOT_AUTHENTICATED, "sender", "is not proven; nothing was changed")
    if isinstance(reply, Rejected):
        return _refused(reply.code, "calendar", f"is no reply: {reply.why}")
    entry = entry_of(reply.uid, ctx.policies.uid_domain)
    if entry is None:
        return _refused(RefusalCode.UNKNOWN_EVENT, "calendar", "is about no event of ours")
    session = locked_session(db, entry)
    if session is not None:
        return _record_reply(db, ctx, command, reply, session)
    sent = confirmation_request(db, entry)
    if sent is None:
        return _refused(RefusalCode.UNKNOWN_EVENT, "calendar", "is about no event of ours")
    return _answer_confirmation_request(db, ctx, command, reply, sent)


def _answer_confirmation_request(
    db: Session, ctx: Context, command: ReceiveReply, reply: Reply, sent: ConfirmationRequest
) -> ReplyOutcome:
    who = sent.consultant_user_id
    if not _is_person(db, command, reply, who):
        return _not_theirs()
    if reply.answer == ReplyAnswer.DECLINED and sent.resolution == Resolution.DECLINED:
        return ReplyOutcome(result="already_done", request_id=sent.request_id, answer=reply.answer)
    if sent.resolution != Resolution.OPEN and is_stale(reply, 1):
        return _refused(
            RefusalCode.STALE, "calendar", f"answers a confirmation request that is over ({sent.resolution})"
        )
    if reply.answer not in (ReplyAnswer.ACCEPTED, ReplyAnswer.DECLINED):
        return _refused(
            RefusalCode.NO_ANSWER, "calendar", "neither accepts nor declines; it still waits for an answer"
        )
    contract: type[ConfirmRequest | DeclineRequest] = (
        ConfirmRequest if reply.answer == ReplyAnswer.ACCEPTED else DeclineRequest
    )
    answer = contract(
        message_id=command.message_id,
        actor=str(who),
        request_id=sent.request_id,
        consultant_user_id=who,
        confirmation_request_id=sent.id,
    )
    return _run(db, ctx.on_behalf_of(str(who)), answer, reply.answer)


def _run(
    db: Session, ctx: Context, command: ConfirmRequest | DeclineRequest, answer: ReplyAnswer
) -> ReplyOutcome:
    outcome: RequestOutcome[ConfirmCode]
    if isinstance(command, ConfirmRequest):
        outcome = intake.confirm(db, ctx, command)
    else:
        outcome = intake.decline(db, ctx, command)
    return ReplyOutcome(
        result=outcome.result,
        code=outcome.code,
        message=outcome.message,
        request_id=command.request_id,
        answer=answer,
    )


def _record_reply(
    db: Session, ctx: Context, command: ReceiveReply, reply: Reply, session: ScheduledSession
) -> ReplyOutcome:
    """Record a reply to a session. It cancels nothing: people send cancel_session for that."""
    sides: dict[Party, UUID] = {
        Party.CONSULTANT: session.consultant_user_id,
        Party.REQUESTER: session.requester_user_id,
    }
    party = next((one for one, who in sides.items() if _is_person(db, command, reply, who)), None)
    if party is None:
        return _not_theirs()
    known = ReplyOutcome(result="already_done", session_id=session.id, answer=reply.answer)
    if is_stale(reply, session.revision):
        return (
            known
            if _accepts_again(db, reply, session, party)
            else _refused(RefusalCode.STALE, "calendar", "answers an earlier revision of the session")
        )
    if session.status not in OPEN:
        return _refused(RefusalCode.ALREADY_ENDED, "calendar", f"is about a session that is {session.status}")
    if reply.answer is None:
        return _refused(RefusalCode.NO_ANSWER, "calendar", "says neither yes, no nor maybe")
    recorded: dict[str, object] = {"party": party, "answer": reply.answer, "revision": session.revision}
    if store.last_recorded(db, session.id, party) == recorded:
        return known
    outbox.record_event(
        db, ctx.on_behalf_of(str(sides[party])), store.RECORDED, session=session, after=recorded
    )
    return known.model_copy(update={"result": "done"})


def _accepts_again(db: Session, reply: Reply, session: ScheduledSession, party: Party) -> bool:
    """Return whether it repeats the acceptance of the confirmation request that became this session."""
    return (
        party == Party.CONSULTANT
        and reply.answer == ReplyAnswer.ACCEPTED
        and confirmation_request(db, session.id) is not None
    )


def _is_person(db: Session, command: ReceiveReply, reply: Reply, user_id: UUID) -> bool:
    known = store.address_of(db, user_id)
    return known is not None and is_from(reply, command.sender, known)


def _not_theirs() -> ReplyOutcome:
    return _refused(RefusalCode.WRONG_PERSON, "sender", "is not the address of the person who was asked")
