"""Drafting a plan: a dry run reserves real time for each session in a savepoint that is rolled back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.absence import store
from booking_tasks.absence.rules import Distribution, announce_at, answer_deadline
from booking_tasks.absence.substitutes import substitutes_at_other_times, substitutes_at_session_time
from booking_tasks.assignment import store as assignments
from booking_tasks.assignment.rules import Candidate, ranked
from booking_tasks.availability import service as availability
from booking_tasks.availability import store as ledger
from booking_tasks.availability.service import Refusal
from booking_tasks.context import Context
from booking_tasks.enums import StepAction, StepState
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.savepoints import savepoint
from booking_tasks.models import AbsencePlan, AbsencePlanStep, ConsultationRequest, ScheduledSession

#: How many colleagues are tried for one session, best first.
CANDIDATES_EACH = 20
#: How far after a session a new time is searched, and how many times are tried.
NEW_TIME_WITHIN = timedelta(days=14)
_NEW_TIMES_TRIED = 10


@dataclass(frozen=True)
class AffectedSessions:
    """The sessions of a plan with their requests, all locked."""

    sessions: dict[UUID, ScheduledSession]
    requests: dict[UUID, ConsultationRequest]

    def request(self, session: ScheduledSession) -> ConsultationRequest:
        return self.requests[session.consultation_request_id]

    def requester_ids(self) -> set[UUID]:
        """The requesters of all sessions."""
        return {one.requester_user_id for one in self.sessions.values()}

    def in_order(self) -> list[ScheduledSession]:
        """The sessions in order of start."""
        return sorted(self.sessions.values(), key=lambda one: (one.scheduled_start_time, one.id))


def lock_affected(db: Session, ids: Sequence[UUID]) -> AffectedSessions:
    """Lock sessions, then their requests, each in the order of their ids."""
    sessions = store.lock_sessions(db, ids)
    return AffectedSessions(
        sessions, store.lock_requests(db, (one.consultation_request_id for one in sessions.values()))
    )


def lock_steps(db: Session, plan: AbsencePlan, steps: Sequence[AbsencePlanStep]) -> AffectedSessions:
    """Lock the sessions, requests and people of a plan's steps, in the one lock order."""
    affected = lock_affected(db, [one.scheduled_session_id for one in steps])
    who = {one.consultant_user_id for one in steps if one.consultant_user_id}
    store.lock_persons(db, {plan.consultant_user_id, *who}, affected.requester_ids())
    return affected


def draft_steps(
    db: Session, ctx: Context, plan: AbsencePlan, affected: AffectedSessions
) -> list[AbsencePlanStep]:
    """Draft a step for each session. Nothing is written; only the pools are locked afterwards.

    The first dry run locks the consultants who could take a session at its own time. When that leaves a
    session, its locks are released, so that a second one can lock them together with those who have other
    times.
    """
    service_type_ids = {one.consultation_service_type_id for one in affected.sessions.values()}
    assignments.lock_pools(db, service_type_ids, ctx.now)
    choices = {one.id: _choices(db, ctx, plan, one, affected.request(one)) for one in affected.in_order()}
    who = {one.consultant_user_id for able, _ in choices.values() for one in able}
    who.add(plan.consultant_user_id)
    steps, left = _dry_run(db, ctx, plan, affected, choices, who)
    if left:
        others = DryRun(db, ctx, plan, affected)
        who.update(*(others.nearest(one, _NEW_TIMES_TRIED + len(left)) for one in left))
        steps, _ = _dry_run(db, ctx, plan, affected, choices, who)
    return steps


#: Session -> who could take it at its own time, best first, and the reason when there is nobody.
Choices = Mapping[UUID, tuple[list[Candidate], str]]


def _dry_run(
    db: Session,
    ctx: Context,
    plan: AbsencePlan,
    affected: AffectedSessions,
    choices: Choices,
    consultants: set[UUID],
) -> tuple[list[AbsencePlanStep], list[ScheduledSession]]:
    """Lock these consultants and the requesters, and try everything with them; releases the locks.

    Returns the steps, and the sessions that nobody can take at their own time.
    """
    steps, left = [], []
    dry_run = DryRun(db, ctx, plan, affected, consultants)
    with savepoint(db) as attempt:
        attempt.discard()
        store.lock_persons(db, consultants, affected.requester_ids())
        by_session = {one: [who.consultant_user_id for who in able] for one, (able, _) in choices.items()}
        assigned = Distribution(by_session, dry_run.reserve, dry_run.release).distribute()
        for position, session in enumerate(affected.in_order(), 1):
            able, why = choices[session.id]
            if session.id in assigned:
                step = _reassigned(session, assigned[session.id], able, _chosen(plan, session))
            else:
                left.append(session)
                step = dry_run.fallback_step(session, why)
            step.id, step.plan_id, step.position = uuid7(), plan.id, position
            steps.append(step)
    return steps, left


def _chosen(plan: AbsencePlan, session: ScheduledSession) -> UUID | None:
    """The consultant whom the planner named for a session, or None."""
    named = plan.criteria.get("chosen", {}).get(str(session.id))
    return None if named is None else UUID(named)


def _choices(
    db: Session, ctx: Context, plan: AbsencePlan, session: ScheduledSession, request: ConsultationRequest
) -> tuple[list[Candidate], str]:
    """The consultants who could take the session, best first, and the reason when there is none.

    Consultants who confirm bookings themselves come last.
    """
    chosen = _chosen(plan, session)
    found = substitutes_at_session_time(db, ctx, session, request, confirming=True)
    if chosen is not None:
        found = [one for one in found if one.consultant_user_id == chosen]
    able = sorted(ranked(found), key=lambda one: one.must_confirm)
    why = found[0].rejected if chosen is not None and found else None
    return able[:CANDIDATES_EACH], why or "nobody_can"


def _step(session: ScheduledSession, action: StepAction, reason: str) -> AbsencePlanStep:
    return AbsencePlanStep(
        scheduled_session_id=session.id,
        session_revision=session.revision,
        action=action,
        reason=reason,
        state=StepState.PLANNED,
    )


def _reassigned(
    session: ScheduledSession, who: UUID, able: Sequence[Candidate], chosen: UUID | None
) -> AbsencePlanStep:
    confirms = any(one.must_confirm for one in able if one.consultant_user_id == who)
    reason = "chosen" if who == chosen else "must_confirm" if confirms else "best"
    step = _step(session, StepAction.REASSIGN, reason)
    step.consultant_user_id = who
    step.start_time, step.end_time = session.scheduled_start_time, session.scheduled_end_time
    return step


class DryRun:
    """Reserves and releases real time while a plan is drafted; the caller rolls it back.

    Other times are those of `consultants`, who are locked; without them, those of anybody, for reading alone.
    """

    def __init__(
        self,
        db: Session,
        ctx: Context,
        plan: AbsencePlan,
        affected: AffectedSessions,
        consultants: Collection[UUID] | None = None,
    ) -> None:
        self._db, self._ctx, self._plan, self._affected = db, ctx, plan, affected
        self._consultants = consultants
        starts = [one.scheduled_start_time for one in affected.sessions.values()]
        self._announced = announce_at(ctx.now, ctx.policies.absence_grace, starts)

    def reserve(self, session_id: UUID, who: UUID) -> bool:
        """Reserve a session's time with a consultant, at its full length; return whether that succeeded."""
        session = self._affected.sessions[session_id]
        request = self._affected.request(session)
        if assignments.at_capacity(self._db, [who], self._ctx.now):
            return False
        with savepoint(self._db) as attempt:
            start = session.scheduled_start_time
            taken = availability.move_booking(self._db, self._ctx, request, who, start, session)
            is_reserved = not isinstance(taken, Refusal)
            if not is_reserved:
                attempt.discard()
        return is_reserved

    def release(self, session_id: UUID) -> None:
        """Release what was reserved for a session."""
        ledger.delete_booking(self._db, session_id)

    def fallback_step(self, session: ScheduledSession, why: str) -> AbsencePlanStep:
        """Propose the first other time that can be held for the requester; otherwise cancel."""
        request = self._affected.request(session)
        for start, end, who in self._starts(session, request)[:_NEW_TIMES_TRIED]:
            until = answer_deadline(
                self._announced, self._ctx.policies.absence_answer, session.scheduled_start_time, start
            )
            if until is None:
                return _step(session, StepAction.CANCEL, "too_soon_to_ask")
            taken = availability.hold_start(
                self._db, self._ctx, request, who, start, until, length=end - start
            )
            if isinstance(taken, Refusal):
                continue
            step = _step(session, StepAction.PROPOSE, why)
            step.consultant_user_id, step.start_time, step.end_time = who, start, end
            return step
        return _step(session, StepAction.CANCEL, why)

    def nearest(self, session: ScheduledSession, most: int) -> list[UUID]:
        """The consultants with the earliest other times for a session, at most so many."""
        return [who for _, _, who in self._starts(session, self._affected.request(session))[:most]]

    def _starts(
        self, session: ScheduledSession, request: ConsultationRequest
    ) -> list[tuple[datetime, datetime, UUID]]:
        """The first start of each substitute, earliest first; the absent consultant comes first of equals."""
        own, away_until = self._plan.consultant_user_id, self._plan.ends_at
        since = session.scheduled_end_time
        until = session.scheduled_start_time + NEW_TIME_WITHIN
        others = substitutes_at_other_times(self._db, self._ctx, session, request)
        if self._consultants is not None:
            others = [one for one in others if one in self._consultants]
        full = assignments.at_capacity(self._db, others, self._ctx.now)
        colleagues = [one for one in others if one != own and one not in full]
        found = dict(self._first(session, request, colleagues, since, until))
        if own in others and away_until is not None:
            found |= self._first(session, request, [own], max(since, away_until), until)
        starts = [(start, end, who) for who, (start, end) in found.items()]
        return sorted(starts, key=lambda one: (one[0], one[2] != own, one[2]))

    def _first(
        self,
        session: ScheduledSession,
        request: ConsultationRequest,
        who: list[UUID],
        since: datetime,
        until: datetime,
    ) -> Mapping[UUID, tuple[datetime, datetime]]:
        return store.first_starts(
            self._db,
            who,
            session.consultation_service_type_id,
            request.requester_user_id,
            since,
            until,
            self._ctx.now,
            session.scheduled_end_time - session.scheduled_start_time,
        )
