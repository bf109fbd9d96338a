"""The consultants who could take over a session, by the rules of the assignment."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.absence import store
from booking_tasks.assignment.evaluation import criteria_of, evaluate, ineligibility_reasons
from booking_tasks.assignment.rules import Candidate, Profile, exclusion_reason
from booking_tasks.assignment.store import Pool
from booking_tasks.availability import store as ledger
from booking_tasks.context import Context
from booking_tasks.kit.instants import Span
from booking_tasks.models import ConsultationRequest, ScheduledSession


def substitutes_at_session_time(
    db: Session,
    ctx: Context,
    session: ScheduledSession,
    request: ConsultationRequest,
    *,
    confirming: bool = False,
) -> list[Candidate]:
    """Every other consultant: able to take the session at its own time, or the first reason why not.

    Consultants who confirm their bookings cannot be asked here. They count only where somebody reviews the
    choice before it is made (`confirming`). The session keeps its length, so a consultant who declared
    another length for the service type is out. Locks the pool.
    """
    agreed = session.scheduled_start_time, session.scheduled_end_time
    service_type = ledger.service_type(db, session.consultation_service_type_id)
    if service_type is None:
        return []

    def openings(fit: Sequence[UUID], pool: Pool) -> dict[UUID, Sequence[Span] | str]:
        found = store.evaluated_start(db, fit, session, ctx.now)
        return {
            who: "must_confirm"
            if who in pool.must_confirm and not confirming
            else _opening(found.get(who), agreed)
            for who in fit
        }

    found = evaluate(db, ctx, request, service_type, openings).candidates
    return [one for one in found if one.consultant_user_id != session.consultant_user_id]


def substitutes_at_other_times(
    db: Session, ctx: Context, session: ScheduledSession, request: ConsultationRequest
) -> list[UUID]:
    """The consultants who could have the session at another time without confirming it first.

    Consultants whom the requester excluded are out. The session's own consultant counts although they
    confirm their bookings: they have accepted this session already.
    """
    service_type_id, own = session.consultation_service_type_id, session.consultant_user_id
    criteria = criteria_of(request)
    fit = [
        who
        for who, reason in ineligibility_reasons(db, criteria).items()
        if reason is None and (who == own or exclusion_reason(Profile(who), criteria, ctx.now) is None)
    ]
    confirming = ledger.confirming_consultants(db, fit, service_type_id, ctx.now)
    return [who for who in fit if who == own or who not in confirming]


def _opening(evaluated: store.EvaluatedStart | None, agreed: Span) -> Sequence[Span] | str:
    """The agreed time as the one opening, or the code that booking it would be refused with."""
    if evaluated is None:
        return "slot_not_free"
    if evaluated.refusal is not None:
        return evaluated.refusal
    is_fitting = evaluated.own_length in {None, agreed[1] - agreed[0]}
    return (agreed,) if is_fitting else "other_length"
