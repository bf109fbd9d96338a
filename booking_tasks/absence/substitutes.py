"""Who could take a session at its own time: the assignment's judgement, asked about one start."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.absence import store
from booking_tasks.assignment.eligibility import Profile, exclusion_reason
from booking_tasks.assignment.evaluation import criteria_of, evaluate, ineligibility_reasons
from booking_tasks.assignment.rules import Candidate, Start
from booking_tasks.assignment.store import Facts
from booking_tasks.availability import store as ledger
from booking_tasks.context import Context
from booking_tasks.models import ConsultationRequest, ScheduledSession

#: What is in the way of a start -> the code that booking it would be refused with.
_CODES = {
    "notice": "notice_too_short",
    "horizon": "beyond_horizon",
    "limit": "limit_reached",
    "taken": "slot_taken",
}


def substitutes_at_session_time(
    db: Session,
    ctx: Context,
    session: ScheduledSession,
    request: ConsultationRequest,
    *,
    confirming: bool = False,
) -> list[Candidate]:
    """Everyone but whose it is: able at the session's own time, or the first reason why not.

    Who confirms bookings themselves cannot be asked here: they count where somebody looks at the choice
    before it is made (`confirming`). Who is there for another length of time would give the requester
    something else than was agreed. Locks the pool.
    """
    start, end = session.scheduled_start_time, session.scheduled_end_time
    kind = ledger.service_type(db, session.consultation_service_type_id)
    if kind is None:
        return []

    def openings(fit: Sequence[UUID], known: Facts) -> dict[UUID, Sequence[Start] | str]:
        judged = store.evaluated_start(db, fit, kind.id, start, ctx.now, session.id)
        return {
            who: "must_confirm"
            if who in known.confirming and not confirming
            else _opening(judged.get(who), (start, end))
            for who in fit
        }

    found = evaluate(db, ctx, request, kind, openings).candidates
    return [one for one in found if one.consultant_user_id != session.consultant_user_id]


def substitutes_at_other_times(
    db: Session, ctx: Context, session: ScheduledSession, request: ConsultationRequest
) -> list[UUID]:
    """Who could have the session at another time: candidates for its request who need not be asked first.

    Nobody whom the requester does not want. Whose it is had been asked, so they may have it again.
    """
    kind, own = session.consultation_service_type_id, session.consultant_user_id
    wish = criteria_of(request)
    fit = [
        who
        for who, reason in ineligibility_reasons(db, wish).items()
        if reason is None and (who == own or exclusion_reason(Profile(who), wish, ctx.now) is None)
    ]
    asking = ledger.needing_confirmation(db, fit, kind, ctx.now)
    return [who for who in fit if who == own or who not in asking]


def _opening(judged: store.EvaluatedStart | None, wanted: Start) -> Sequence[Start] | str:
    """The wanted time, or why not."""
    if judged is None:
        return "slot_not_free"
    if judged.obstacle is not None:
        return _CODES.get(judged.obstacle, "slot_not_free")
    return (wanted,) if judged.end == wanted[1] else "other_length"
