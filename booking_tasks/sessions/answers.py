"""What each side of a session was last asked, and what it answered by calendar: read from the events.

Only a first invitation, another time and another consultant ask. A change of anything else is an update, and
an answer that was given before it still counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.enums import Party, ReplyAnswer, Resolution
from booking_tasks.models import Event, ScheduledSession
from booking_tasks.outbox.event_types import EventType
from booking_tasks.requests.confirmation_requests import ConfirmationRequest, confirmation_request

RECORDED = EventType.SESSION_REPLY_RECORDED
_ASKING = (
    EventType.SESSION_SCHEDULED,
    EventType.SESSION_RESCHEDULED,
    EventType.SESSION_REASSIGNED,
    EventType.SESSION_INVITES_UPDATED,
)


@dataclass(frozen=True)
class LastInvitation:
    """The SEQUENCE with which one side was last asked, and the confirmation request, where that asked."""

    sequence: int
    confirmation: ConfirmationRequest | None = None


@dataclass(frozen=True)
class Answer:
    """The answer of one side, and when it was given: the DTSTAMP of its reply.

    One that is not recorded is the confirmation that made the session.
    """

    answer: ReplyAnswer
    answered_at: datetime
    is_recorded: bool = True


def last_invitation(db: Session, session: ScheduledSession, party: Party) -> LastInvitation:
    """Return how one side of a session was last asked.

    A consultant who confirmed the session was asked by the confirmation request, with SEQUENCE 0, and not
    again.
    """
    rows = db.execute(
        select(Event.type, Event.before, Event.after)
        .where(Event.scheduled_session_id == session.id, Event.type.in_(_ASKING))
        .order_by(Event.position.desc())
    )
    for type_, before, after in rows:
        if type_ == EventType.SESSION_SCHEDULED:
            sent = confirmation_request(db, session.id) if party == Party.CONSULTANT else None
            return LastInvitation(_sequence(after)) if sent is None else LastInvitation(0, sent)
        if type_ == EventType.SESSION_INVITES_UPDATED:
            if party in after["invited_again"]:
                return LastInvitation(_sequence(after))
            continue
        is_moved = (before.get("start"), before.get("end")) != (after.get("start"), after.get("end"))
        if is_moved or party == Party.CONSULTANT:
            return LastInvitation(_sequence(after))
    return LastInvitation(0)


def _sequence(after: Mapping[str, Any] | None) -> int:
    """The SEQUENCE that an event stands for; one without a revision is about the first invitation."""
    return int((after or {}).get("revision", 0))


def last_answer(db: Session, session: ScheduledSession, party: Party) -> Answer | None:
    """Return the last recorded answer of one side to what it was last asked, or None."""
    invitation = last_invitation(db, session, party)
    row = db.execute(
        select(Event.after, Event.occurred_at)
        .where(
            Event.scheduled_session_id == session.id,
            Event.type == RECORDED,
            Event.after["party"].astext == party,
            Event.after["revision"].as_integer() >= invitation.sequence,
        )
        .order_by(Event.position.desc())
        .limit(1)
    ).first()
    if row is not None:
        after, occurred_at = row
        answered_at = after.get("answered_at")
        return Answer(
            ReplyAnswer(after["answer"]),
            occurred_at if answered_at is None else datetime.fromisoformat(answered_at),
        )
    sent = invitation.confirmation
    agreed = session.scheduled_start_time, session.scheduled_end_time
    if sent is None or sent.resolved_at is None or (sent.start, sent.end) != agreed:
        return None
    if sent.resolution != Resolution.ACCEPTED:
        return None
    return Answer(ReplyAnswer.ACCEPTED, sent.resolved_at, is_recorded=False)


def answer_of(db: Session, session: ScheduledSession, user_id: UUID) -> ReplyAnswer | None:
    """Return the last recorded answer of a person who takes part in a session, or None."""
    parties = {session.requester_user_id: Party.REQUESTER, session.consultant_user_id: Party.CONSULTANT}
    party = parties.get(user_id)
    answer = None if party is None else last_answer(db, session, party)
    return None if answer is None else answer.answer
