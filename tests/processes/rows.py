"""The rows that the process tests write and read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from booking_tasks.client import BookingClient
from booking_tasks.contracts import SearchOutcome, SearchSlots
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import DeadLetter, Job, ScheduledSession
from booking_tasks.ops.servers import wait_until
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.unit_of_work import unit_of_work
from tests.builders import booked_session

#: How long a condition is waited for, in seconds: far longer than it takes on an idle machine.
PATIENCE = 60

#: Longer ago than anything is kept.
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def ask(client: BookingClient) -> SearchOutcome:
    """A question that every working worker answers, with a refusal."""
    start = datetime.now(UTC)
    query = SearchSlots(service_type_id=uuid7(), start=start, end=start + timedelta(hours=1))
    return client.send(query, wait=True).outcome(timeout=PATIENCE)


def agreed_session(ahead: timedelta = timedelta(days=3)) -> ScheduledSession:
    """A session that was agreed just now: its room, reminders and event wait to be made."""
    with unit_of_work("test", "booking") as (db, ctx):
        session = booked_session(db, ctx.now + ahead)
        outbox.record_event(db, ctx, EventType.SESSION_SCHEDULED, session=session)
    return session


def jobs(job_type: str) -> Counter[tuple[str, int]]:
    """State and number of send attempts of every job of a kind, without what the daily comparison adds."""
    own = Job.args["reconcile_day"].astext.is_(None)
    with transaction() as db:
        rows = db.execute(select(Job.state, Job.send_attempts).where(Job.job_type == job_type, own)).all()
    return Counter((state, send_attempts) for state, send_attempts in rows)


def all_settled(job_type: str, count: int) -> bool:
    """Whether `count` jobs of a kind are done."""
    found = jobs(job_type)
    return sum(found[one] for one in found if one[0] == "done") == count


def add_old_dead_letter() -> UUID:
    """A dead letter that the next purge forgets; its id."""
    with transaction() as db:
        dead_letter = DeadLetter(
            task="test", entry_point="test", reason="old", payload={}, received_at=LONG_AGO
        )
        db.add(dead_letter)
        db.flush()
        return dead_letter.id


def old_dead_letters() -> set[UUID]:
    """The dead letters that no purge has met."""
    with transaction() as db:
        return set(db.execute(select(DeadLetter.id).where(DeadLetter.received_at == LONG_AGO)).scalars())


def wait_for(ready: Callable[[], bool], what: str) -> None:
    """Wait until a condition is true. Raises ServerError naming `what`."""
    wait_until(ready, what, PATIENCE)
