"""Forgetting a person: their future ends, their past gets another id, and what describes them is erased."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from booking_tasks.absence.store import lock_persons, lock_requests, lock_sessions
from booking_tasks.context import Context
from booking_tasks.contracts import DeclineRequest, ForgetUser, ForgetUserOutcome
from booking_tasks.enums import RefusalCode, RequestStatus, SessionStatus
from booking_tasks.forgetting import store
from booking_tasks.forgetting.store import PersonTrace
from booking_tasks.inbox.service import refusal
from booking_tasks.intake import service as intake
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest, ScheduledSession
from booking_tasks.offers import service as offers
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.sessions import service as sessions

_REASON = "the person was forgotten"


def forget_user(db: Session, ctx: Context, command: ForgetUser) -> ForgetUserOutcome:
    """End what lies ahead of a person, and take them out of everything that stays.

    It needs one snapshot (`unit_of_work`). What another transaction books meanwhile is wholly before it, and
    is ended, or wholly after it, and belongs to a new person of this id.
    """
    ctx = replace(ctx, message_id=command.message_id)
    found = store.trace(db, command.user_id, command.message_id)
    if found.is_empty:
        return ForgetUserOutcome(result="already_done")
    if found.consultant is not None and store.has_sessions_to_serve(db, found.user_id):
        problem = (
            "has sessions ahead as a consultant; plan their absence first (plan_absence without an end, then"
            " apply_absence_plan), and forget them when it is announced"
        )
        return ForgetUserOutcome.refusal(RefusalCode.SESSIONS_AHEAD, "user_id", problem)
    cancelled, withdrawn = _end_what_lies_ahead(db, ctx, found)
    person_id = uuid4()
    outbox.record_event(
        db,
        ctx,
        EventType.PERSON_FORGOTTEN,
        after={
            "person_id": str(person_id),
            "cancelled_sessions": cancelled,
            "withdrawn_requests": withdrawn,
        },
    )
    answer = refusal(RefusalCode.DEAD, "the person whom it is about was forgotten before it was run")
    store.erase(db, found, person_id, ctx.now, answer)
    return ForgetUserOutcome(result="done", cancelled_sessions=cancelled, withdrawn_requests=withdrawn)


def _end_what_lies_ahead(db: Session, ctx: Context, found: PersonTrace) -> tuple[int, int]:
    """Cancel the sessions and requests of a person and give back what is held with them.

    Returns the number of sessions and of requests. Everything is locked first, in the one lock order.
    """
    user_id = found.user_id
    ahead = store.sessions_ahead(db, user_id, ctx.now)
    own = store.open_requests(db, user_id)
    held = [] if found.consultant is None else store.requests_held_with(db, user_id)
    booked = lock_sessions(db, ahead)
    requests = lock_requests(db, {*ahead.values(), *own, *held})
    consultants = store.people_of(db, ahead, {*own, *held})
    lock_persons(db, consultants | ({user_id} if found.consultant else set()), {user_id})
    cancelled = [one for one in booked.values() if _cancel(db, ctx, one)]
    withdrawn = [one for one in own if _withdraw(db, ctx, requests[one])]
    for request_id in held:
        _release_from(db, ctx, requests[request_id], user_id)
    return len(cancelled), len(withdrawn)


def _cancel(db: Session, ctx: Context, session: ScheduledSession) -> bool:
    if sessions.change_refusal(session, ctx) is not None:
        return False
    sessions.cancel_locked(db, ctx, session, SessionStatus.CANCELLED_BY_USER, _REASON)
    return True


def _withdraw(db: Session, ctx: Context, request: ConsultationRequest) -> bool:
    intake.end_hold(db, ctx, request, _REASON)
    return True


def _release_from(db: Session, ctx: Context, request: ConsultationRequest, consultant: UUID) -> None:
    """End what a request of somebody else holds with the consultant; it is assigned again where it can be."""
    if request.status == RequestStatus.PENDING_CONFIRMATION:
        command = DeclineRequest(
            message_id=ctx.message_id or uuid7(),
            actor=ctx.actor,
            request_id=request.id,
            consultant_user_id=consultant,
        )
        intake.decline(db, ctx, command)
    elif request.status == RequestStatus.PENDING_ASSIGNMENT:
        offers.end_open_offer(db, ctx, request)
    elif request.status == RequestStatus.PENDING:
        intake.end_hold(db, ctx, request, "consultant_left")
