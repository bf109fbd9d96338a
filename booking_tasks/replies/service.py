"""Receiving a reply: an answer to a confirmation request, or a reply to a session."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import ConfirmRequest, DeclineRequest, ReceiveReply, ReplyOutcome
from booking_tasks.contracts.booking import ConfirmCode, RequestOutcome
from booking_tasks.enums import Party, RefusalCode, ReplyAnswer, Resolution
from booking_tasks.intake import service as intake
from booking_tasks.kit.instants import to_iso
from booking_tasks.kit.savepoints import savepoint
from booking_tasks.models import ScheduledSession
from booking_tasks.outbox import service as outbox
from booking_tasks.replies import store
from booking_tasks.replies.rules import (
    Rejected,
    Reply,
    answered_at,
    entry_of,
    is_from,
    is_overtaken,
    is_stale,
)
from booking_tasks.requests.confirmation_requests import ConfirmationRequest, confirmation_request
from booking_tasks.sessions.answers import RECORDED, last_answer, last_invitation
from booking_tasks.sessions.store import locked_session
from booking_tasks.states import OPEN

_refused = ReplyOutcome.refusal


def receive(db: Session, ctx: Context, command: ReceiveReply, reply: Reply | Rejected) -> ReplyOutcome:
    """Handle a reply; `reply` is what was read of the command's calendar text."""
    accepts_unchecked = ctx.policies.reply_unauthenticated == "accept"
    if not (command.authenticated or (command.authenticated is None and accepts_unchecked)):
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
    with savepoint(db) as attempt:  # discarded, it gives back the lock of the request
        outcome = _answer_confirmation_request(db, ctx, command, reply, sent)
        if outcome.result == "refused":
            attempt.discard()
    # Somebody may have confirmed it meanwhile: then this is a reply to the session.
    session = locked_session(db, entry) if outcome.result == "refused" else None
    return outcome if session is None else _record_reply(db, ctx, command, reply, session)


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
    return _run(db, ctx.on_behalf_of(str(who)), answer, reply)


def _run(db: Session, ctx: Context, command: ConfirmRequest | DeclineRequest, reply: Reply) -> ReplyOutcome:
    outcome: RequestOutcome[ConfirmCode]
    if isinstance(command, ConfirmRequest):
        outcome = intake.confirm(db, ctx, command)
        session = locked_session(db, outcome.session_id) if outcome.session_id else None
        if outcome.result == "done" and session is not None:
            # Recorded with its DTSTAMP, which a later change of mind is compared with.
            _record(db, ctx, session, Party.CONSULTANT, ReplyAnswer.ACCEPTED, answered_at(reply, ctx.now))
    else:
        outcome = intake.decline(db, ctx, command)
    return ReplyOutcome(
        result=outcome.result,
        code=outcome.code,
        message=outcome.message,
        request_id=command.request_id,
        answer=reply.answer,
    )


def _record_reply(
    db: Session, ctx: Context, command: ReceiveReply, reply: Reply, session: ScheduledSession
) -> ReplyOutcome:
    """Record a reply to a session, which the caller has locked, if it is the last of what counts.

    It cancels nothing: people send cancel_session for that.
    """
    sides: dict[Party, UUID] = {
        Party.CONSULTANT: session.consultant_user_id,
        Party.REQUESTER: session.requester_user_id,
    }
    party = next((one for one, who in sides.items() if _is_person(db, command, reply, who)), None)
    if party is None:
        return _not_theirs()
    refusal = _session_refusal(db, reply, session, party)
    if refusal is not None or reply.answer is None:
        return refusal or _refused(RefusalCode.NO_ANSWER, "calendar", "says neither yes, no nor maybe")
    on_behalf = ctx.on_behalf_of(str(sides[party]))
    return _record_latest(db, on_behalf, session, party, reply.answer, answered_at(reply, ctx.now))


def _session_refusal(
    db: Session, reply: Reply, session: ScheduledSession, party: Party
) -> ReplyOutcome | None:
    """Return the outcome of a reply that cannot count any more, or None."""
    if is_stale(reply, last_invitation(db, session, party).sequence):
        return _refused(RefusalCode.STALE, "calendar", "answers what was asked before the last invitation")
    if session.status not in OPEN:
        return _refused(RefusalCode.ALREADY_ENDED, "calendar", f"is about a session that is {session.status}")
    return None


def _record_latest(
    db: Session,
    ctx: Context,
    session: ScheduledSession,
    party: Party,
    answer: ReplyAnswer,
    answered: datetime,
) -> ReplyOutcome:
    """Record an answer unless a later one is known."""
    known = last_answer(db, session, party)
    done = ReplyOutcome(result="done", session_id=session.id, answer=answer)
    if (
        known is not None
        and known.answer == answer
        and (answered <= known.answered_at or not known.is_recorded)
    ):
        return done.model_copy(update={"result": "already_done"})
    if known is not None and is_overtaken(answer, answered, known.answer, known.answered_at):
        return _refused(RefusalCode.STALE, "calendar", "is older than the answer that is recorded")
    _record(db, ctx, session, party, answer, answered)
    return done


def _record(
    db: Session,
    ctx: Context,
    session: ScheduledSession,
    party: Party,
    answer: ReplyAnswer,
    answered: datetime,
) -> None:
    after = {"party": party, "answer": answer, "revision": session.revision, "answered_at": to_iso(answered)}
    outbox.record_event(db, ctx, RECORDED, session=session, after=after)


def _is_person(db: Session, command: ReceiveReply, reply: Reply, user_id: UUID) -> bool:
    known = store.address_of(db, user_id)
    return known is not None and is_from(reply, command.sender, known)


def _not_theirs() -> ReplyOutcome:
    return _refused(RefusalCode.WRONG_PERSON, "sender", "is not the address of the person who was asked")
