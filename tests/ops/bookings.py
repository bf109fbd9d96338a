"""A whole booking in this process: the tasks are called in the order in which workers call them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import select

from booking_tasks.assignment.tasks import submit_request
from booking_tasks.contracts import SubmitRequest
from booking_tasks.invites.tasks import send_invite
from booking_tasks.kit.database import transaction
from booking_tasks.meetings.tasks import provision_meeting
from booking_tasks.models import Job, ScheduledSession
from tests import builders


def bookable(name: str = "Mira Lang", email: str = "mira@example.org") -> tuple[UUID, UUID]:
    """A kind of consultation that somebody offers all day tomorrow, and who is to ask for it."""
    now = datetime.now(UTC)
    with transaction() as db:
        service_type, teacher = builders.service_type(db), builders.consultant(db)
        builders.user(db, user_id=teacher.consultant_user_id)
        builders.window(db, teacher.consultant_user_id, now + timedelta(days=1), hours=24)
        requester = builders.user(db, name=name, email=email)
        return service_type.id, requester.user_id


def request_message(service_type_id: UUID, requester_id: UUID, details: str | None = None) -> SubmitRequest:
    """A message that asks for it."""
    return SubmitRequest(
        message_id=uuid4(),
        actor="shop",
        request_id=uuid4(),
        requester_user_id=requester_id,
        service_type_id=service_type_id,
        details=details,
    )


def book_session(service_type_id: UUID, requester_id: UUID) -> UUID:
    """Ask, which assigns; make the room, invite both; the session's id. Every step must succeed at once."""
    command = request_message(service_type_id, requester_id)
    assert submit_request(command.model_dump(mode="json"))["result"] == "done"
    assert provision_meeting() == 1
    assert send_invite() == 2
    with transaction() as db:
        session = db.execute(
            select(ScheduledSession).where(ScheduledSession.consultation_request_id == command.request_id)
        ).scalar_one()
        sent = db.scalars(
            select(Job.state).where(Job.job_type == "send_invite", Job.subject_id == session.id)
        )
        assert set(sent) == {"done"}
        return session.id
