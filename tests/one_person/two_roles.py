"""Two consultants with the same four free hours, of whom one is a requester as well."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import (
    BookSeries,
    ConfirmHold,
    HoldSlot,
    RescheduleSession,
    SearchSlots,
    SubmitRequest,
)
from booking_tasks.models import ScheduledSession
from tests import builders
from tests.invariants import of_rows
from tests.refusals.world import HOUR, START, World


class TwoRoles(World):
    """`both` consults and asks; `other` consults; `somebody` asks."""

    def __init__(self, db: Session, ctx: Context, **values: Any) -> None:
        super().__init__(db, ctx, **values)
        self.both, self.other = self.who, self.other_consultant()
        for who in (self.both, self.other):
            builders.user(db, user_id=who)
        self.somebody = builders.user(db).user_id

    def hold_of(self, requester: UUID, consultant: UUID, hours: float = 0, **values: Any) -> Any:
        """The outcome of holding a start."""
        return self.run(
            HoldSlot,
            requester_user_id=requester,
            consultant_user_id=consultant,
            start=START + hours * HOUR,
            **values,
        )

    def booked(self, requester: UUID, consultant: UUID, hours: float = 0) -> UUID:
        """The id of a session that was held and confirmed."""
        held = self.hold_of(requester, consultant, hours)
        assert held.result == "done", held
        outcome: Any = self.run(ConfirmHold, request_id=held.request_id, hold_token=held.hold_token)
        assert outcome.result == "done", outcome
        assert outcome.session_id is not None
        session_id: UUID = outcome.session_id
        return session_id

    def consults(self, hours: float = 0) -> UUID:
        """`both` has a session as a consultant."""
        return self.booked(self.somebody, self.both, hours)

    def asks(self, hours: float = 0) -> UUID:
        """`both` has a session as a requester."""
        return self.booked(self.both, self.other, hours)

    def found(self, consultant: UUID, **values: Any) -> list[datetime]:
        """The starts of a consultant that a search finds."""
        outcome: Any = self.run(SearchSlots, consultant_user_ids=[consultant], **values)
        return [one.start for one in outcome.starts]

    def submitted(self, requester: UUID, consultant: UUID, hours: float = 0, length: float = 1) -> Any:
        """The outcome of a request for this consultant alone, within a window."""
        return self.run(
            SubmitRequest,
            requester_user_id=requester,
            preferred_consultant_user_id=consultant,
            fallback="only",
            preferred_start=START + hours * HOUR,
            preferred_end=START + (hours + length) * HOUR,
        )

    def series(self, requester: UUID, consultant: UUID, *hours: float) -> Any:
        """The outcome of a series with these starts."""
        return self.run(
            BookSeries,
            series_id=uuid4(),
            requester_user_id=requester,
            consultant_user_id=consultant,
            starts=[START + one * HOUR for one in hours],
        )

    def moved(self, session_id: UUID, hours: float) -> Any:
        """The outcome of moving a session."""
        return self.run(RescheduleSession, session_id=session_id, new_start=START + hours * HOUR)

    def occupied(self, who: UUID) -> list[tuple[timedelta, timedelta]]:
        """When a person is occupied, after the first start."""
        query = "SELECT lower(span), upper(span) FROM occupied_times WHERE person_id = :who ORDER BY span"
        return [(start - START, end - START) for start, end in self.db.execute(text(query), {"who": who})]

    def check(self) -> None:
        """The rows must not contradict each other."""
        assert of_rows(self.db) == []

    def session_row(self, session_id: UUID) -> ScheduledSession:
        return self.db.get_one(ScheduledSession, session_id, populate_existing=True)
