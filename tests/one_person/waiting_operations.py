"""Requests that wait: for released time, for a batch, and for the consultant who must confirm."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.batch import service as batch
from booking_tasks.context import Context
from booking_tasks.contracts import (
    AcceptOffer,
    CancelRequest,
    CancelSession,
    ConfirmRequest,
    DeclineOffer,
    DeclineRequest,
    SubmitRequest,
)
from booking_tasks.enums import OfferState, RefusalCode, RequestStatus
from booking_tasks.intake import service as intake
from booking_tasks.models import AvailabilitySlot, ConsultationRequest, ScheduledSession, TimeOffer
from booking_tasks.waiting import offering
from booking_tasks.waiting import service as waiting
from tests.one_person.booker import HOUR, Booker

#: The most requests of one batch: the others of this test are to happen as well.
_MOST_TOGETHER = 40


class WaitingOperations(Booker):
    """Waits for the time of others, answers offers and confirmation requests, and plans batches."""

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self._plan: batch.BatchPlan | None = None
        self._to_apply: list[UUID] = []

    def wait(self, db: Session, ctx: Context) -> None:
        """Ask for the time that a session occupies, from its consultant and nobody else."""
        session = self._session(db)
        if session is None:
            return
        requester = self._draw.choice([one for one in self._people if one != session.consultant_user_id])
        start = session.scheduled_start_time
        self._send(
            db,
            ctx,
            SubmitRequest,
            request_id=uuid4(),
            requester_user_id=requester,
            service_type_id=self._service_type(),
            preferred_consultant_user_id=session.consultant_user_id,
            fallback="only",
            preferred_start=start,
            preferred_end=start + HOUR,
        )

    def _waiting(self, db: Session, *conditions: Any) -> Any:
        found = select(ConsultationRequest.id, ConsultationRequest.preferred_consultant_user_id).where(
            ConsultationRequest.status == RequestStatus.PENDING_ASSIGNMENT, *conditions
        )
        rows = db.execute(found.order_by(ConsultationRequest.id).limit(200)).all()
        return self._draw.choice(rows) if rows else None

    def make_room(self, db: Session, ctx: Context) -> None:
        """Cancel a session whose time somebody waits for."""
        found = (
            select(ScheduledSession.id)
            .join(
                ConsultationRequest,
                (ConsultationRequest.preferred_consultant_user_id == ScheduledSession.consultant_user_id)
                & (ConsultationRequest.preferred_start_time == ScheduledSession.scheduled_start_time),
            )
            .where(
                ConsultationRequest.status == RequestStatus.PENDING_ASSIGNMENT,
                ScheduledSession.status == "scheduled",
            )
        )
        rows = list(db.execute(found.order_by(ScheduledSession.id)).scalars())
        if rows:
            self._send(db, ctx, CancelSession, session_id=self._draw.choice(rows), cancelled_by="user")

    def withdraw(self, db: Session, ctx: Context) -> None:
        """Cancel a request that waits, also one with an open offer."""
        if found := self._waiting(db):
            self._send(db, ctx, CancelRequest, request_id=found.id)

    def assign(self, db: Session, ctx: Context) -> None:
        """Do what the job does that assigns one request."""
        if found := self._waiting(db):
            self.findings.done[f"assign {assignment.assign(db, ctx, found.id).result}"] += 1

    def offer(self, db: Session, ctx: Context) -> None:
        """Do what the job does that follows from released time, for a consultant whom somebody waits for."""
        if found := self._waiting(db, ConsultationRequest.preferred_consultant_user_id.is_not(None)):
            taken = offering.offer_released_time(db, ctx, found.preferred_consultant_user_id)
            self.findings.done["nothing to offer" if taken is None else "offered"] += 1

    def _open_offer(self, db: Session) -> Any:
        found = select(TimeOffer.consultation_request_id, TimeOffer.hold_token, TimeOffer.offered_until)
        rows = db.execute(found.where(TimeOffer.state == OfferState.OPEN).order_by(TimeOffer.id)).all()
        return self._draw.choice(rows) if rows else None

    def accept(self, db: Session, ctx: Context) -> None:
        self._answer_offer(db, ctx, AcceptOffer)

    def decline(self, db: Session, ctx: Context) -> None:
        self._answer_offer(db, ctx, DeclineOffer)

    def _answer_offer(self, db: Session, ctx: Context, contract: type[AcceptOffer | DeclineOffer]) -> None:
        if one := self._open_offer(db):
            values = {"request_id": one.consultation_request_id, "hold_token": one.hold_token}
            outcome = self._send(db, ctx, contract, **values)
            if outcome.code == RefusalCode.OFFER_EXPIRED:
                self._must_be_over(outcome, one.offered_until)

    def lapse(self, db: Session, ctx: Context) -> None:
        if lapsed := waiting.lapsed(db, ctx):
            self.findings.done["lapsed"] += waiting.lapse(db, ctx, self._draw.choice(lapsed))

    def _pending_confirmation(self, db: Session) -> Any:
        """A request whose consultant was asked to confirm, and until when its time is held."""
        found = (
            select(
                ConsultationRequest.id,
                ConsultationRequest.assigned_consultant_user_id,
                AvailabilitySlot.held_until,
            )
            .join(AvailabilitySlot, AvailabilitySlot.consultation_request_id == ConsultationRequest.id)
            .where(ConsultationRequest.status == RequestStatus.PENDING_CONFIRMATION)
        )
        rows = db.execute(found.order_by(ConsultationRequest.id)).all()
        return self._draw.choice(rows) if rows else None

    def confirm_request(self, db: Session, ctx: Context) -> None:
        self._answer_request(db, ctx, ConfirmRequest)

    def decline_request(self, db: Session, ctx: Context) -> None:
        self._answer_request(db, ctx, DeclineRequest)

    def _answer_request(
        self, db: Session, ctx: Context, contract: type[ConfirmRequest | DeclineRequest]
    ) -> None:
        if one := self._pending_confirmation(db):
            values = {"request_id": one.id, "consultant_user_id": one.assigned_consultant_user_id}
            outcome = self._send(db, ctx, contract, **values)
            if outcome.code == RefusalCode.HOLD_EXPIRED:
                self._must_be_over(outcome, one.held_until)

    def leave_unanswered(self, db: Session, ctx: Context) -> None:
        if unanswered := intake.unanswered_requests(db, ctx):
            ended = intake.expire_unanswered(db, ctx, self._draw.choice(unanswered))
            self.findings.done["unanswered"] += ended

    def assign_together(self, db: Session, ctx: Context) -> None:
        """Plan the waiting requests together, or carry the last plan out for the next of its requests."""
        if self._plan is not None and self._to_apply:
            applied = self._plan.apply(db, ctx, self._to_apply.pop(0))
            self.findings.done[f"batch {applied.result}"] += 1
            return
        if self._plan is not None:
            batch.finish_plan(db, ctx, self._plan)
        snapshot, others = batch.read_batch(db, ctx, _MOST_TOGETHER)
        plan = batch.plan_batch(snapshot, others, ctx.policies.assignment_batch_time, time.monotonic)
        self._plan = batch.store_plan(db, ctx, plan)
        self._to_apply = self._plan.request_ids_to_apply
        self.findings.done["batch planned"] += 1
