"""What follows what: the whole life of a booking on one page.

Left an event (one thing that happened, a row in `events`), right the jobs it leads to. Event and
jobs are written in the transaction of the change itself. What a sweep does stands in
`beat_schedule.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from booking_tasks.context import Policies
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.jobs import NewJob


@dataclass(frozen=True)
class RequestSnapshot:
    """What the journey needs to know of a request."""

    id: UUID
    requester_user_id: UUID
    consultant_user_id: UUID | None
    fallback_after: datetime | None = None


@dataclass(frozen=True)
class SessionSnapshot:
    """What the journey needs to know of a session; start and end are instants.

    `former_consultant_user_id`: whose it was until this event, where that is somebody else.
    """

    id: UUID
    request_id: UUID
    revision: int
    start: datetime
    end: datetime
    requester_user_id: UUID
    consultant_user_id: UUID
    join_url: str | None
    former_consultant_user_id: UUID | None = None


@dataclass(frozen=True)
class PlanSnapshot:
    """An absence plan and when it is told, or a proposal of one and when it ends unanswered."""

    id: UUID
    due: datetime


@dataclass(frozen=True)
class DomainEvent:
    """One event, as the steps below see it."""

    type: EventType
    event_id: UUID
    now: datetime
    policies: Policies
    request: RequestSnapshot | None = None
    session: SessionSnapshot | None = None
    plan: PlanSnapshot | None = None


Reaction = Callable[[DomainEvent], Iterable[NewJob]]


def _session(happening: DomainEvent) -> SessionSnapshot:
    if happening.session is None:
        raise ValueError(f"{happening.type} must come with its session")
    return happening.session


def _request(happening: DomainEvent) -> RequestSnapshot:
    if happening.request is None:
        raise ValueError(f"{happening.type} must come with its request")
    return happening.request


def _plan(happening: DomainEvent) -> PlanSnapshot:
    if happening.plan is None:
        raise ValueError(f"{happening.type} must come with its plan")
    return happening.plan


def _sides(session: SessionSnapshot) -> tuple[UUID, UUID]:
    return session.requester_user_id, session.consultant_user_id


def assign(happening: DomainEvent) -> Iterable[NewJob]:
    """Look for a consultant and a time, now."""
    yield NewJob("assign_request", _request(happening).id, happening.now, detail=str(happening.event_id))


def assign_at_fallback(happening: DomainEvent) -> Iterable[NewJob]:
    """Look again when others than the preferred consultant may serve."""
    request = _request(happening)
    if request.fallback_after is not None and request.fallback_after > happening.now:
        yield NewJob("assign_request", request.id, request.fallback_after, detail="fallback")


def ask_consultant(happening: DomainEvent) -> Iterable[NewJob]:
    """Tell the assigned consultant that an answer is wanted."""
    request = _request(happening)
    yield NewJob(
        "send_notice",
        request.id,
        happening.now,
        recipient=request.consultant_user_id,
        detail=f"confirmation_requested:{happening.event_id}",
    )


def offer_to_requester(happening: DomainEvent) -> Iterable[NewJob]:
    """Tell one who waits of the time that is kept for them."""
    request = _request(happening)
    yield NewJob(
        "send_notice",
        request.id,
        happening.now,
        recipient=request.requester_user_id,
        detail=f"time_offered:{happening.event_id}",
    )


def tell_requester_of_rejection(happening: DomainEvent) -> Iterable[NewJob]:
    """Tell the requester that nothing came of it."""
    request = _request(happening)
    yield NewJob(
        "send_notice",
        request.id,
        happening.now,
        recipient=request.requester_user_id,
        detail="request_rejected",
    )


def take_out_what_was_declined(happening: DomainEvent) -> Iterable[NewJob]:
    """Take the question out of the calendar of a consultant who declined it in another way."""
    request = _request(happening)
    if request.consultant_user_id is not None:
        yield NewJob(
            "send_notice",
            request.id,
            happening.now,
            recipient=request.consultant_user_id,
            detail=f"confirmation_declined:{happening.event_id}",
        )


def tell_consultant_of_withdrawal(happening: DomainEvent) -> Iterable[NewJob]:
    """Tell a consultant who was asked that no answer is needed any more."""
    request = _request(happening)
    if request.consultant_user_id is not None:
        yield NewJob(
            "send_notice",
            request.id,
            happening.now,
            recipient=request.consultant_user_id,
            detail=f"confirmation_withdrawn:{happening.event_id}",
        )


def provision(happening: DomainEvent) -> Iterable[NewJob]:
    """Make the meeting link, or tell the platform the new times."""
    session = _session(happening)
    yield NewJob("provision_meeting", session.id, happening.now, session.revision)


def close(happening: DomainEvent) -> Iterable[NewJob]:
    """Take the room away again."""
    session = _session(happening)
    yield NewJob("close_meeting", session.id, happening.now, session.revision)


def invite(happening: DomainEvent) -> Iterable[NewJob]:
    """Invite or update both sides."""
    session = _session(happening)
    for person in _sides(session):
        yield NewJob("send_invite", session.id, happening.now, session.revision, person)


def invite_if_linked(happening: DomainEvent) -> Iterable[NewJob]:
    """Tell both sides of a move at once; without a link yet, the invite follows the link."""
    if _session(happening).join_url is not None:
        yield from invite(happening)


def cancel_invites(happening: DomainEvent) -> Iterable[NewJob]:
    """Take the event out of both calendars."""
    session = _session(happening)
    for person in _sides(session):
        yield NewJob("send_cancellation", session.id, happening.now, session.revision, person)


def take_from_former(happening: DomainEvent) -> Iterable[NewJob]:
    """Take the event out of the calendar of the consultant whose it is no more."""
    session = _session(happening)
    if session.former_consultant_user_id is not None:
        yield NewJob(
            "send_cancellation",
            session.id,
            happening.now,
            session.revision,
            session.former_consultant_user_id,
            f"reassigned:{happening.event_id}",
        )


def remind(happening: DomainEvent) -> Iterable[NewJob]:
    """Remind both sides at every offset that still lies ahead."""
    session = _session(happening)
    for offset in happening.policies.reminder_offsets:
        due = session.start - offset
        if due <= happening.now:
            continue
        for person in _sides(session):
            detail = f"{int(offset / timedelta(seconds=1))}s"
            yield NewJob("send_reminder", session.id, due, session.revision, person, detail)


def watch(happening: DomainEvent) -> Iterable[NewJob]:
    """Look who is there at the grace time, and fetch the platform's report after the end."""
    session = _session(happening)
    grace = happening.policies.attendance_grace
    yield NewJob("check_attendance", session.id, session.start + grace, session.revision)
    yield NewJob("collect_attendance", session.id, session.end, session.revision)


def tell_of_absence(happening: DomainEvent) -> Iterable[NewJob]:
    """Tell everybody what an absence plan did, once it cannot be undone any more."""
    yield NewJob("announce_absence", _plan(happening).id, _plan(happening).due)


def ask_about_new_time(happening: DomainEvent) -> Iterable[NewJob]:
    """Ask the requester about the time that is kept for them."""
    session = _session(happening)
    yield NewJob(
        "send_notice",
        session.request_id,
        happening.now,
        recipient=session.requester_user_id,
        detail=f"new_time_proposed:{happening.event_id}",
    )


def end_unanswered(happening: DomainEvent) -> Iterable[NewJob]:
    """Without an answer in time the session ends."""
    session, plan = _session(happening), _plan(happening)
    yield NewJob("end_proposal", session.id, plan.due, session.revision, detail=str(plan.id))


REACTIONS: dict[EventType, tuple[Reaction, ...]] = {
    # a consultation is asked for
    EventType.REQUEST_SUBMITTED: (assign_at_fallback,),
    EventType.REQUEST_POSTPONED: (assign,),
    EventType.REQUEST_HELD: (),
    EventType.REQUEST_WAITING: (),
    EventType.REQUEST_OFFERED: (offer_to_requester,),
    EventType.REQUEST_OFFER_DECLINED: (assign,),
    EventType.REQUEST_OFFER_LAPSED: (),
    EventType.REQUEST_CONFIRMATION_REQUESTED: (ask_consultant,),
    EventType.REQUEST_DECLINED: (take_out_what_was_declined, assign),
    EventType.REQUEST_UNANSWERED: (tell_consultant_of_withdrawal, assign),
    EventType.REQUEST_REJECTED: (tell_requester_of_rejection, tell_consultant_of_withdrawal),
    EventType.REQUEST_CANCELLED: (tell_consultant_of_withdrawal,),
    # and agreed
    EventType.SESSION_SCHEDULED: (provision, remind, watch),
    EventType.SESSION_MEETING_READY: (invite,),
    EventType.SESSION_MEETING_FAILED: (invite,),
    EventType.SESSION_LINK_CHANGED: (invite, remind, watch),
    EventType.SESSION_RESCHEDULED: (provision, invite_if_linked, remind, watch),
    EventType.SESSION_REASSIGNED: (take_from_former, provision, invite_if_linked, remind, watch),
    EventType.SESSION_CANCELLED: (cancel_invites, close),
    # or its consultant is away
    EventType.ABSENCE_APPLIED: (tell_of_absence,),
    EventType.ABSENCE_ANNOUNCED: (),
    EventType.ABSENCE_UNDONE: (),
    EventType.SESSION_TIME_PROPOSED: (ask_about_new_time, end_unanswered),
    # and happens, or not
    EventType.SESSION_STARTED: (),
    EventType.SESSION_SIDE_MISSING: (),
    EventType.SESSION_COMPLETED: (close,),
    EventType.SESSION_NO_SHOW: (close,),
    EventType.SESSION_ATTENDANCE_UNKNOWN: (close,),
    EventType.SESSION_ATTENDANCE_CORRECTED: (),
    EventType.SESSION_OUTCOME_RECORDED: (),
    EventType.SESSION_REPLY_RECORDED: (),
    EventType.SESSION_BILLED: (),
    # what operators decide about work that went wrong
    EventType.JOB_REPLAYED: (),
    EventType.JOB_DISCARDED: (),
    EventType.MESSAGE_REPLAYED: (),
    EventType.MESSAGE_DISCARDED: (),
}

#: What operators do, in the house alone; of an absence the sessions tell.
_INTERNAL = {type_ for type_ in REACTIONS if type_.startswith(("job.", "message.", "absence."))}

#: What other services hear. The rest is history that concerns nobody outside.
PUBLISHED = (
    frozenset(REACTIONS)
    - _INTERNAL
    - {
        EventType.REQUEST_POSTPONED,
        EventType.SESSION_SIDE_MISSING,
        EventType.SESSION_BILLED,
        EventType.SESSION_LINK_CHANGED,
    }
)


def jobs_for(happening: DomainEvent) -> list[NewJob]:
    """Every job that an event leads to. Raises KeyError for an event nobody wrote down here."""
    jobs = [job for step in REACTIONS[happening.type] for job in step(happening)]
    if happening.type in PUBLISHED:
        jobs.append(NewJob("publish_event", happening.event_id, happening.now))
    return jobs
