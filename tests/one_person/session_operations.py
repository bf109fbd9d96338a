"""Moves, cancellations, reassignments and absences: what happens to sessions."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.absence.announcement import announce_due_plan
from booking_tasks.context import Context
from booking_tasks.contracts import (
    AnswerProposal,
    ApplyAbsencePlan,
    CancelSession,
    PlanAbsence,
    ReassignSession,
    RescheduleSession,
    UndoAbsencePlan,
)
from booking_tasks.models import AbsencePlan, AbsencePlanStep
from tests.one_person.booker import DAYS, FIRST, HALF, HOUR, HOURS, Booker


class SessionOperations(Booker):
    """Moves, cancels and reassigns sessions, and plans absences from them."""

    def move(self, db: Session, ctx: Context) -> None:
        """Half of the moves are onto a part of the session's own time."""
        session = self._session(db)
        if session is None:
            return
        start = session.scheduled_start_time + HALF if self._draw.random() < 0.5 else self._start()
        if (start - FIRST) % timedelta(days=1) > HOURS * HOUR - HOUR:
            return
        people = [session.consultant_user_id, session.requester_user_id]
        self._send(db, ctx, RescheduleSession, (people, start), session_id=session.id, new_start=start)

    def cancel(self, db: Session, ctx: Context) -> None:
        session = self._session(db)
        if session is not None:
            side = self._draw.choice(["user", "consultant"])
            self._send(db, ctx, CancelSession, session_id=session.id, cancelled_by=side)

    def reassign(self, db: Session, ctx: Context) -> None:
        session = self._session(db)
        if session is None:
            return
        named = self._draw.choice([None, *self._people[::2]])
        people = [named or session.consultant_user_id, session.requester_user_id]
        start = session.scheduled_start_time
        who = {"consultant_user_id": named} if named else {}
        self._send(db, ctx, ReassignSession, (people, start), session_id=session.id, **who)

    def plan(self, db: Session, ctx: Context) -> None:
        """Draft a plan for a person's day; another operation applies it."""
        day = FIRST.replace(hour=0, tzinfo=None) + timedelta(days=self._draw.randrange(DAYS))
        absent = {"consultant_user_id": self._draw.choice(self._people)}
        self._send(db, ctx, PlanAbsence, plan_id=uuid4(), start=day, end=day + timedelta(days=1), **absent)

    def _plan_id(self, db: Session, *states: str) -> UUID | None:
        found = select(AbsencePlan.id).where(AbsencePlan.state.in_(states)).order_by(AbsencePlan.id.desc())
        rows = list(db.execute(found.limit(4)).scalars())
        return self._draw.choice(rows) if rows else None

    def substitute(self, db: Session, ctx: Context) -> None:
        if plan_id := self._plan_id(db, "draft"):
            self._send(db, ctx, ApplyAbsencePlan, plan_id=plan_id)

    def undo(self, db: Session, ctx: Context) -> None:
        if plan_id := self._plan_id(db, "applied"):
            self._send(db, ctx, UndoAbsencePlan, plan_id=plan_id)

    def announce(self, db: Session, ctx: Context) -> None:
        if plan_id := self._plan_id(db, "applied"):
            skipped = announce_due_plan(db, ctx, plan_id)
            self.findings.done[f"announced {skipped or 'done'}"] += 1

    def answer(self, db: Session, ctx: Context) -> None:
        found = select(AbsencePlanStep.id).where(AbsencePlanStep.state == "offered")
        rows = list(db.execute(found.order_by(AbsencePlanStep.id)).scalars())
        if rows:
            accepted = self._draw.random() < 0.7
            self._send(db, ctx, AnswerProposal, proposal_id=self._draw.choice(rows), accepted=accepted)
