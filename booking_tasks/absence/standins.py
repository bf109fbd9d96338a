"""Who could take a session at its own time: the assignment's judgement, asked about one start."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.absence import store
from booking_tasks.assignment import service as assignment
from booking_tasks.assignment import store as assignments
from booking_tasks.assignment.rules import Candidate
from booking_tasks.availability import store as ledger
from booking_tasks.models import ConsultationRequest, ScheduledSession
from booking_tasks.occasion import Occasion

#: What is in the way of a start -> the code that booking it would be refused with.
_CODES = {
    "notice": "notice_too_short",
    "horizon": "beyond_horizon",
    "limit": "limit_reached",
    "taken": "slot_taken",
}


def standins(
    db: Session, occasion: Occasion, session: ScheduledSession, request: ConsultationRequest
) -> list[Candidate]:
    """Everyone but whose it is: able at the session's own time, or the first reason why not.

    Who confirms bookings themselves cannot be asked here, and who is there for another length of time
    would give the requester something else than was agreed.
    """
    people = [one for one in assignments.everyone(db) if one.consultant_user_id != session.consultant_user_id]
    reasons = {one.consultant_user_id: assignment.unfit(one, request) for one in people}
    fit = [who for who, reason in reasons.items() if reason is None]
    kind, start = session.consultation_service_type_id, session.scheduled_start_time
    judged = store.judged_at(db, fit, kind, start, occasion.now, session.id)
    asking = ledger.needing_confirmation(db, fit, kind, occasion.now)
    loads = assignments.loads(db, fit, occasion.now)

    def reason_of(who: UUID) -> str | None:
        if reasons[who] is not None or who in asking:
            return reasons[who] or "must_confirm"
        found = judged.get(who)
        if found is None or found.obstacle is not None:
            return _CODES.get(found.obstacle or "", "slot_not_free") if found else "slot_not_free"
        return None if found.end == session.scheduled_end_time else "other_length"

    return [
        Candidate(
            consultant_user_id=who,
            preferred=who == request.preferred_consultant_user_id,
            load=loads.get(who, 0),
            starts=((start, session.scheduled_end_time),) if reason_of(who) is None else (),
            rejected=reason_of(who),
            must_confirm=who in asking,
        )
        for who in reasons
    ]
