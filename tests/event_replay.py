"""Replays the events: every step is compared with the tables of states, every job with its event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.context import Policies
from booking_tasks.models import ConsultationRequest, Event, Job, ScheduledSession
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import CloseReason, JobType
from booking_tasks.outbox.workflow import (
    DomainEvent,
    PlanSnapshot,
    RequestSnapshot,
    SessionSnapshot,
    jobs_for,
)
from booking_tasks.states import REQUEST_STEPS, SESSION_STEPS, Steps

#: Jobs that follow from no event, but from an answer of the outside world or from released capacity.
_FROM_OUTSIDE: dict[str, Callable[[dict[str, Any]], bool]] = {
    JobType.PROVISION_MEETING: lambda args: args["reconcile_day"] is not None,
    JobType.CLOSE_MEETING: lambda args: args["reason"] != CloseReason.SESSION_ENDED,
    JobType.COLLECT_ATTENDANCE: lambda args: args["is_repeat"],
    JobType.OFFER_TIME: lambda args: True,
    JobType.UPDATE_INVITES: lambda args: True,
}
_REVISING = {
    "session.rescheduled",
    "session.reassigned",
    "session.cancelled",
    "session.link_changed",
    "session.invites_updated",
}


@dataclass
class _ReplayedState:
    """The state of a request or session after the events so far."""

    status: str | None = None
    revision: int = 0
    start: datetime | None = None
    end: datetime | None = None
    url: str | None = None


@dataclass
class EventReplay:
    """Applies all events in their order to an empty state and collects what is wrong."""

    policies: Policies
    wrong: list[str] = field(default_factory=list)
    requests: dict[UUID, _ReplayedState] = field(default_factory=dict)
    sessions: dict[UUID, _ReplayedState] = field(default_factory=dict)
    jobs: set[str] = field(default_factory=set)
    #: The beginnings of the keys of mails that an update of invitations may have led to.
    updates: set[str] = field(default_factory=set)
    questions: set[UUID] = field(default_factory=set)

    def apply(self, event: Event, requester: UUID) -> None:
        """Apply one more event."""
        if event.consultation_request_id is None:
            self.wrong.append(f"{event.type} {event.id} is about no request")
            return
        request = self.requests.setdefault(event.consultation_request_id, _ReplayedState())
        if event.type == "request.confirmation_requested":
            self.questions.add(event.id)
            # It may have to go to another mailbox of its consultant.
            again = f"{event.consultation_request_id}:{event.consultant_user_id}:confirmation_requested"
            self.updates.add(f"send_notice:{again}:{event.id}:")
            self.updates.add(f"send_cancellation:{event.id}:0:{event.consultant_user_id}::")
        if event.scheduled_session_id is None:
            self._step(event, request, REQUEST_STEPS, "status")
        else:
            session = self.sessions.setdefault(event.scheduled_session_id, _ReplayedState())
            self._session(event, request, session)
        domain_event = self._domain_event(event, requester)
        self.jobs |= {job.key for job in jobs_for(domain_event)}
        if event.type == EventType.SESSION_INVITES_UPDATED and domain_event.session is not None:
            self._update(domain_event.session)

    def _update(self, session: SessionSnapshot) -> None:
        """Which sides and mailboxes are written to depends on what each mailbox holds."""
        revision = f"{session.id}:{session.revision}"
        for person in (session.requester_user_id, session.consultant_user_id):
            self.updates.add(f"send_invite:{revision}:{person}")
        self.updates.add(f"send_cancellation:{revision}:")

    def _session(self, event: Event, request: _ReplayedState, session: _ReplayedState) -> None:
        if event.type == "session.cancelled":
            request.status = self._stepped(event, REQUEST_STEPS, request.status, "cancelled")
        else:
            self._step(event, request, REQUEST_STEPS, "request_status")
        self._step(event, session, SESSION_STEPS, "status")
        if event.scheduled_session_id in self.questions and event.type == "session.scheduled":
            session.revision = 1  # the question in its consultant's calendar was the one before
        revision = event.after.get("revision", session.revision)
        # Where a question stood in the consultant's calendar before, the session is its next revision.
        first = event.type == "session.scheduled" and revision == 1
        if not first and revision != session.revision + (event.type in _REVISING):
            self.wrong.append(f"{event.type} {event.id} leads from {session.revision} to {revision}")
        session.revision = revision
        for name in ("start", "end"):
            if name in event.after:
                setattr(session, name, datetime.fromisoformat(event.after[name]))
        session.url = event.after.get("meeting_platform_join_url", session.url)

    def _step(self, event: Event, state: _ReplayedState, steps: Steps, name: str) -> None:
        if name not in event.after:
            return
        before, after = event.before.get(name), event.after[name]
        if before != state.status:
            self.wrong.append(f"{event.type} {event.id} begins at {before}, its {name} was {state.status}")
        state.status = self._stepped(event, steps, state.status, after)

    def _stepped(self, event: Event, steps: Steps, before: str | None, after: str) -> str:
        first = {"pending", "scheduled"}
        allowed = first if before is None else {*steps[before], before}
        if after not in allowed:
            self.wrong.append(f"{event.type} {event.id}: no step leads from {before} to {after}")
        return after

    def _domain_event(self, event: Event, requester: UUID) -> DomainEvent:
        state = self.sessions.get(event.scheduled_session_id) if event.scheduled_session_id else None
        session = request = None
        assert event.consultation_request_id is not None
        if state is not None:
            assert event.scheduled_session_id
            assert state.start
            assert state.end
            assert event.consultant_user_id
            session = SessionSnapshot(
                event.scheduled_session_id,
                event.consultation_request_id,
                state.revision,
                state.start,
                state.end,
                requester,
                event.consultant_user_id,
                state.url,
                _former(event),
            )
        else:
            request = RequestSnapshot(event.consultation_request_id, requester, event.consultant_user_id)
        return DomainEvent(
            EventType(event.type), event.id, event.occurred_at, self.policies, request, session, _plan(event)
        )


def _plan(event: Event) -> PlanSnapshot | None:
    """The proposal that an event is about, and until when it can be answered."""
    if event.type != "session.time_proposed":
        return None
    return PlanSnapshot(UUID(event.after["proposal_id"]), datetime.fromisoformat(event.after["answer_by"]))


def _of_plan(event: Event, policies: Policies) -> DomainEvent:
    plan = PlanSnapshot(UUID(event.after["plan_id"]), datetime.fromisoformat(event.after["announce_at"]))
    return DomainEvent(EventType(event.type), event.id, event.occurred_at, policies, plan=plan)


def _former(event: Event) -> UUID | None:
    """The consultant who had the session before this event, for a reassignment."""
    return UUID(event.before["consultant_user_id"]) if event.type == "session.reassigned" else None


def of_history(db: Session, policies: Policies) -> list[str]:
    """Every fault of events and jobs, each as a sentence.

    A fault is a forbidden step, a row that differs from what its events lead to, a job that follows from no
    event, or an event whose job is missing.
    """
    requests = {row.id: row for row in db.execute(select(ConsultationRequest)).scalars()}
    sessions = {row.id: row for row in db.execute(select(ScheduledSession)).scalars()}
    replay = EventReplay(policies)
    # A request of a series is created together with its session and has no event of its own for that.
    replay.requests |= {
        row.id: _ReplayedState("pending") for row in requests.values() if row.series_id is not None
    }
    for event in db.execute(select(Event).order_by(Event.position)).scalars():
        if event.type == "absence.applied":  # what a plan does to sessions is in the sessions' events
            replay.jobs |= {job.key for job in jobs_for(_of_plan(event, policies))}
        if event.type.startswith(("job.", "message.", "absence.")):
            continue  # an operator's decision about a job or message: no step of request or session
        if event.consultation_request_id is not None and event.consultation_request_id not in requests:
            replay.wrong.append(f"{event.type} {event.id} is about a request that is not there")
            continue
        request_id = event.consultation_request_id
        replay.apply(event, requests[request_id].requester_user_id if request_id else event.id)
    wrong = replay.wrong
    for request_id, request in requests.items():
        found = replay.requests.get(request_id, _ReplayedState())
        if found.status != request.status:
            wrong.append(f"request {request_id} is {request.status}, the history says {found.status}")
    for session_id, row in sessions.items():
        known = replay.sessions.get(session_id, _ReplayedState())
        state = (row.status, row.revision, row.scheduled_start_time, row.scheduled_end_time)
        if (known.status, known.revision, known.start, known.end) != state:
            wrong.append(f"session {session_id} is {state}, the history says {known}")
    return wrong + _of_jobs(db, replay.jobs, tuple(replay.updates))


def _of_jobs(db: Session, expected: set[str], updates: tuple[str, ...]) -> list[str]:
    rows = db.execute(select(Job.key, Job.job_type, Job.args)).all()
    unexpected = [
        key
        for key, job_type, args in rows
        if key not in expected
        and not key.startswith(updates)
        and not (job_type in _FROM_OUTSIDE and _FROM_OUTSIDE[job_type](args))
    ]
    missing = expected - {key for key, _, _ in rows}
    return [f"a job no event leads to: {key}" for key in unexpected] + [f"no job: {key}" for key in missing]
