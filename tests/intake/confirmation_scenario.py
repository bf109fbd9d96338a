"""Two consultants who confirm each booking themselves, and how requests come to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.context import Context
from booking_tasks.contracts import (
    CancelRequest,
    ConfirmRequest,
    DeclineRequest,
    RequestOutcome,
    SubmitRequest,
)
from booking_tasks.enums import RequestStatus
from booking_tasks.intake import service
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest, Event, Job
from tests import builders
from tests.builders import NOW

TOMORROW = NOW + timedelta(days=1)


class ConfirmationScenario:
    """Two consultants with a free day, and a service type whose bookings they must confirm."""

    def __init__(self, db: Session, ctx: Context, **service_type: Any) -> None:
        self.db, self.ctx = db, ctx
        self.service_type = builders.service_type(db, **({"requires_confirmation": True} | service_type))
        self.consultants = [builders.consultant(db).consultant_user_id for _ in range(2)]
        for who in self.consultants:
            builders.window(db, who, TOMORROW)

    def submit(self, **values: object) -> RequestOutcome:
        command = {
            "message_id": uuid4(),
            "actor": "mira",
            "request_id": uuid7(),
            "requester_user_id": uuid7(),
            "service_type_id": self.service_type.id,
        }
        message = SubmitRequest.model_validate(command | values)
        new = service.submission(self.db, self.ctx, message)
        written = new if isinstance(new, RequestOutcome) else service.insert_request(self.db, self.ctx, new)
        if isinstance(written, RequestOutcome):
            return written
        return RequestOutcome(result="done", request_id=message.request_id, status=RequestStatus.PENDING)

    def pending(self, **values: object) -> ConsultationRequest:
        """A request that waits for a confirmation."""
        outcome = self.submit(**values)
        assert outcome.request_id is not None
        assert assignment.assign(self.db, self.ctx, outcome.request_id).result == "confirmation_requested"
        return self.db.get_one(ConsultationRequest, outcome.request_id)

    def later(self, **by: float) -> None:
        self.ctx = replace(self.ctx, now=self.ctx.now + timedelta(**by))

    def confirm(self, request: ConsultationRequest, who: UUID, **values: Any) -> RequestOutcome:
        command = ConfirmRequest(
            message_id=uuid4(), actor=str(who), request_id=request.id, consultant_user_id=who, **values
        )
        return service.confirm(self.db, self.ctx, command)

    def decline(self, request: ConsultationRequest, who: UUID, **values: Any) -> RequestOutcome:
        command = DeclineRequest(
            message_id=uuid4(),
            actor=str(who),
            request_id=request.id,
            consultant_user_id=who,
            reason="ill",
            **values,
        )
        return service.decline(self.db, self.ctx, command)

    def cancel(self, request: ConsultationRequest) -> RequestOutcome:
        command = CancelRequest(message_id=uuid4(), actor="mira", request_id=request.id)
        return service.cancel(self.db, self.ctx, command)

    def history(self, request: ConsultationRequest) -> list[str]:
        return list(
            self.db.execute(
                select(Event.type).where(Event.consultation_request_id == request.id).order_by(Event.position)
            ).scalars()
        )

    def notices(self, request: ConsultationRequest) -> list[tuple[str, UUID | None]]:
        rows = self.db.execute(
            select(Job.args)
            .where(Job.job_type == "send_notice", Job.subject_id == request.id)
            .order_by(Job.created_at, Job.id)
        )
        return [(args["notice"], UUID(args["recipient"])) for args in rows.scalars()]


def assigned_consultant(request: ConsultationRequest) -> UUID:
    assert request.assigned_consultant_user_id is not None
    return request.assigned_consultant_user_id
