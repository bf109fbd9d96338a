"""One consultant, a kind of consultation, and people who wait for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.context import Context
from booking_tasks.contracts import HoldOutcome
from booking_tasks.models import AvailabilitySlot, ConsultationRequest, Event, Job, TimeOffer
from booking_tasks.waiting import offering, service
from tests import builders
from tests.builders import NOW
from tests.invariants import of_rows

START = NOW + timedelta(days=1)
HOUR = timedelta(hours=1)


class WaitingScenario:
    """Nobody has time at first: whoever asks is told to wait."""

    def __init__(self, db: Session, ctx: Context, **service_type: Any) -> None:
        self.db, self.ctx = db, ctx
        self.service_type = builders.service_type(db, **service_type)
        self.who = builders.consultant(db).consultant_user_id

    def waits(self, **values: Any) -> ConsultationRequest:
        """A request that was looked at, and whose requester was told to wait."""
        request = builders.request(self.db, self.service_type.id, **values)
        assert assignment.assign(self.db, self.ctx, request.id).result == "waiting"
        return request

    def frees(self, start: datetime = START, hours: float = 1, who: UUID | None = None) -> None:
        """The consultant has these hours."""
        builders.window(self.db, who or self.who, start, hours)

    def offers(self, who: UUID | None = None) -> UUID | None:
        """What the job does once: who was given something."""
        values_sent = offering.offer_released_time(self.db, self.ctx, who or self.who)
        assert of_rows(self.db) == []
        return values_sent

    def offer(self, request: ConsultationRequest) -> TimeOffer:
        """The request's latest offer."""
        return self.db.scalars(
            select(TimeOffer)
            .where(TimeOffer.consultation_request_id == request.id)
            .order_by(TimeOffer.id.desc())
            .limit(1)
        ).one()

    def answers(self, contract: Any, request: ConsultationRequest, **values: Any) -> HoldOutcome:
        """The requester accepts or declines."""
        values_sent = {
            "message_id": uuid4(),
            "actor": "mira",
            "request_id": request.id,
            "hold_token": self.offer(request).hold_token,
        }
        outcome: HoldOutcome = getattr(service, contract.task)(
            self.db, self.ctx, contract.model_validate(values_sent | values)
        )
        assert of_rows(self.db) == []
        return outcome

    def later(self, **by: float) -> None:
        self.ctx = replace(self.ctx, now=self.ctx.now + timedelta(**by))

    def sweeps(self) -> int:
        """What `lapse_offers` does; how many let an offer lapse."""
        return sum(service.lapse(self.db, self.ctx, one) for one in service.lapsed(self.db, self.ctx))

    def history(self, request: ConsultationRequest) -> list[str]:
        return list(
            self.db.scalars(
                select(Event.type).where(Event.consultation_request_id == request.id).order_by(Event.position)
            )
        )

    def notices(self, request: ConsultationRequest) -> Counter[str]:
        rows = self.db.scalars(
            select(Job.args).where(Job.job_type == "send_notice", Job.subject_id == request.id)
        )
        return Counter(args["notice"] for args in rows)

    def noted(self) -> Counter[str]:
        """Why the consultant's time was noted as freed, so far."""
        rows = self.db.scalars(
            select(Job.args).where(Job.job_type == "offer_time", Job.subject_id == self.who)
        )
        return Counter(args["reason"] for args in rows)

    def facts(self) -> list[tuple[str, datetime | None]]:
        rows = self.db.execute(
            select(AvailabilitySlot.status, AvailabilitySlot.session_start_time)
            .where(
                AvailabilitySlot.consultant_user_id == self.who,
                AvailabilitySlot.status.in_(("held", "booked")),
            )
            .order_by(AvailabilitySlot.session_start_time)
        )
        return [(status, start) for status, start in rows]
