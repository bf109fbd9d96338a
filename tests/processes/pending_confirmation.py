"""A request whose consultant must confirm, for processes that answer."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from booking_tasks.context import Context
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.models import ConsultationRequest
from booking_tasks.requests.confirmation_requests import latest_confirmation_request
from tests import builders
from tests.builders import NOW
from tests.intake.confirmation_scenario import ConfirmationScenario, assigned_consultant
from tests.replies.mails import WEBER


@dataclass(frozen=True)
class PendingConfirmation:
    """The request, the question, and who was asked; their address is WEBER."""

    request_id: UUID
    confirmation_request_id: UUID
    consultant_user_id: UUID

    def request(self) -> ConsultationRequest:
        """As it stands."""
        with transaction() as db:
            return db.get_one(ConsultationRequest, self.request_id)


def request_confirmation() -> PendingConfirmation:
    """Set the stepped clock and ask."""
    with transaction() as db:
        clock.step(db, NOW)
        scenario = ConfirmationScenario(db, Context(now=NOW, actor="test", entry_point="booking"))
        request = scenario.pending(requester_user_id=builders.user(db).user_id)
        builders.user(db, user_id=assigned_consultant(request), name="Dr Weber", email=WEBER)
        question = latest_confirmation_request(db, request.id)
        assert question is not None
        return PendingConfirmation(request.id, question.id, assigned_consultant(request))
