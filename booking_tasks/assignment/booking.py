"""Giving a start that was found: booked, or held where the consultant must confirm. One statement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from sqlalchemy.orm import Session

from booking_tasks.assignment import booking_store as giving_store
from booking_tasks.assignment.booking_store import PendingBooking
from booking_tasks.assignment.decisions import Assigned
from booking_tasks.assignment.rules import Candidate, Start
from booking_tasks.availability.service import Refusal
from booking_tasks.context import Context
from booking_tasks.intake.service import Submission
from booking_tasks.models import ConsultationRequest, ServiceType
from booking_tasks.outbox.pending_wakeups import wake_after_commit
from booking_tasks.requests import service as requests
from booking_tasks.requests.rules import confirmation_deadline
from booking_tasks.sessions import service as sessions


def book_or_hold(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    kind: ServiceType,
    candidate: Candidate,
    span: Start,
    decision: dict[str, Any] | None,
    new: Submission | None = None,
) -> Assigned | Refusal:
    """Give a start to a locked request, or to one that is written with it. A refusal leaves nothing behind.

    The length, and that the consultant must be asked, are as the policy says that holds under their lock,
    not the one that was looked at before.
    """
    start, end = span
    while True:
        gift = _pending_booking(ctx, request, kind, candidate, (start, end), decision, new)
        refusal, real_end = giving_store.book_start(db, request, gift, ctx.now)
        if refusal is None:
            break
        if refusal == "must_be_confirmed":
            candidate = replace(candidate, must_confirm=True)
        elif real_end is not None:
            end = real_end
        else:
            return Refusal(refusal)
    due = gift.entry.job_types_due(ctx.now)
    wake_after_commit(db, due if new is None else due | new.entry.job_types_due(ctx.now))
    became: Literal["asked", "scheduled"] = "asked" if gift.session_id is None else "scheduled"
    return Assigned(became, gift.consultant_user_id, start=start, end=end)


def _pending_booking(
    ctx: Context,
    request: ConsultationRequest,
    kind: ServiceType,
    candidate: Candidate,
    span: Start,
    decision: dict[str, Any] | None,
    new: Submission | None,
) -> PendingBooking:
    who, (start, end) = candidate.consultant_user_id, span
    if not candidate.must_confirm:
        draft = sessions.draft_session(ctx, request, who, start, end, decision)
        return PendingBooking(who, start, end, draft.entry, decision, session_id=draft.session.id, new=new)
    until = confirmation_deadline(
        ctx.now, kind.confirmation_minutes, ctx.policies.confirmation_deadline, start
    )
    entry = requests.confirmation_entry(ctx, request, who, start, end, until)
    return PendingBooking(who, start, end, entry, decision, until=until, new=new)
