"""The workflow: which jobs follow which event.

`REACTIONS` maps each event type to functions; each function makes jobs. The event and its jobs are inserted
in the transaction of the change itself. The sweeps are listed in `beat_schedule.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from booking_tasks.context import Policies
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import (
    AnnounceAbsence,
    AssignRequest,
    CheckAttendance,
    CloseMeeting,
    CollectAttendance,
    EndProposal,
    NoticeType,
    ProvisionMeeting,
    PublishEvent,
    SendCancellation,
    SendInvite,
    SendNotice,
    SendReminder,
)
from booking_tasks.outbox.jobs import NewJob


@dataclass(frozen=True)
class RequestSnapshot:
    """What the reactions need of a request."""

    id: UUID
    requester_user_id: UUID
    consultant_user_id: UUID | None
    fallback_after: datetime | None = None


@dataclass(frozen=True)
class SessionSnapshot:
    """What the reactions need of a session; start and end are instants.

    `former_consultant_user_id` is the consultant before this event, where that is somebody else.
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
    """An absence plan and when it is announced, or a proposal of one and when it ends unanswered."""

    id: UUID
    due: datetime


@dataclass(frozen=True)
class InviteUpdate:
    """Who is invited or updated again, and which mailboxes lose the event: pairs of person and mailbox."""

    recipients: tuple[UUID, ...] = ()
    removed: tuple[tuple[UUID, UUID], ...] = ()


#: The update of most events: nobody is written to because of names or addresses.
NO_UPDATE = InviteUpdate()


@dataclass(frozen=True)
class DomainEvent:
    """One event, as the reactions below see it."""

    type: EventType
    event_id: UUID
    now: datetime
    policies: Policies
    request: RequestSnapshot | None = None
    session: SessionSnapshot | None = None
    plan: PlanSnapshot | None = None
    update: InviteUpdate = NO_UPDATE


Reaction = Callable[[DomainEvent], Iterable[NewJob]]


def _session(event: DomainEvent) -> SessionSnapshot:
    if event.session is None:
        raise ValueError(f"{event.type} must come with its session")
    return event.session


def _request(event: DomainEvent) -> RequestSnapshot:
    if event.request is None:
        raise ValueError(f"{event.type} must come with its request")
    return event.request


def _plan(event: DomainEvent) -> PlanSnapshot:
    if event.plan is None:
        raise ValueError(f"{event.type} must come with its plan")
    return event.plan


def _sides(session: SessionSnapshot) -> tuple[UUID, UUID]:
    return session.requester_user_id, session.consultant_user_id


def assign_request(event: DomainEvent) -> Iterable[NewJob]:
    """Look for a consultant and a time, now."""
    yield NewJob(AssignRequest(_request(event).id, event.event_id), event.now)


def assign_request_at_fallback(event: DomainEvent) -> Iterable[NewJob]:
    """Look again when others than the preferred consultant may serve."""
    request = _request(event)
    if request.fallback_after is not None and request.fallback_after > event.now:
        yield NewJob(AssignRequest(request.id), request.fallback_after)


def request_confirmation(event: DomainEvent) -> Iterable[NewJob]:
    """Ask the assigned consultant to confirm the request."""
    consultant = _request(event).consultant_user_id
    if consultant is not None:
        yield _notice(event, consultant, NoticeType.CONFIRMATION_REQUESTED)


def notify_requester_of_offer(event: DomainEvent) -> Iterable[NewJob]:
    """Notify a requester who waits of the time that is kept for them."""
    yield _notice(event, _request(event).requester_user_id, NoticeType.TIME_OFFERED)


def notify_requester_of_rejection(event: DomainEvent) -> Iterable[NewJob]:
    """Notify the requester that no consultation was found; once for each request."""
    request = _request(event)
    args = SendNotice(request.id, request.requester_user_id, NoticeType.REQUEST_REJECTED)
    yield NewJob(args, event.now)


def remove_declined_from_calendar(event: DomainEvent) -> Iterable[NewJob]:
    """Remove the confirmation request from the calendar of a consultant who declined it elsewhere."""
    consultant = _request(event).consultant_user_id
    if consultant is not None:
        yield _notice(event, consultant, NoticeType.CONFIRMATION_DECLINED)


def notify_consultant_of_withdrawal(event: DomainEvent) -> Iterable[NewJob]:
    """Notify a consultant that their confirmation is not needed any more."""
    consultant = _request(event).consultant_user_id
    if consultant is not None:
        yield _notice(event, consultant, NoticeType.CONFIRMATION_WITHDRAWN)


def _notice(event: DomainEvent, recipient: UUID, notice: NoticeType) -> NewJob:
    return NewJob(SendNotice(_request(event).id, recipient, notice, event.event_id), event.now)


def provision_meeting(event: DomainEvent) -> Iterable[NewJob]:
    """Make the meeting link, or give the platform the new times."""
    session = _session(event)
    yield NewJob(ProvisionMeeting(session.id, session.revision), event.now)


def close_meeting(event: DomainEvent) -> Iterable[NewJob]:
    """Close the room on the platform."""
    session = _session(event)
    yield NewJob(CloseMeeting(session.id, session.revision), event.now)


def send_invites(event: DomainEvent) -> Iterable[NewJob]:
    """Invite or update both sides."""
    session = _session(event)
    for person in _sides(session):
        yield NewJob(SendInvite(session.id, session.revision, person), event.now)


def send_invites_if_linked(event: DomainEvent) -> Iterable[NewJob]:
    """Update both sides at once; without a link yet, the invite follows the link."""
    if _session(event).join_url is not None:
        yield from send_invites(event)


def provision_missing_meeting(event: DomainEvent) -> Iterable[NewJob]:
    """Go on making the meeting link, which an earlier revision of the session has not got yet."""
    if _session(event).join_url is None:
        yield from provision_meeting(event)


def update_mailboxes(event: DomainEvent) -> Iterable[NewJob]:
    """Send the event to those who are to have it now, and remove it from mailboxes that are not used."""
    session = _session(event)
    for person in event.update.recipients:
        yield NewJob(SendInvite(session.id, session.revision, person), event.now)
    for person, mailbox_id in event.update.removed:
        args = SendCancellation(session.id, session.revision, person, mailbox_id=mailbox_id)
        yield NewJob(args, event.now)


def send_cancellations(event: DomainEvent) -> Iterable[NewJob]:
    """Remove the session from both calendars."""
    session = _session(event)
    for person in _sides(session):
        yield NewJob(SendCancellation(session.id, session.revision, person), event.now)


def cancel_for_former_consultant(event: DomainEvent) -> Iterable[NewJob]:
    """Remove the session from the calendar of the consultant who had it before."""
    session = _session(event)
    former = session.former_consultant_user_id
    if former is not None:
        args = SendCancellation(session.id, session.revision, former, reassignment_id=event.event_id)
        yield NewJob(args, event.now)


def schedule_reminders(event: DomainEvent) -> Iterable[NewJob]:
    """Remind both sides at every offset that still lies ahead."""
    session = _session(event)
    for offset in event.policies.reminder_offsets:
        due = session.start - offset
        if due <= event.now:
            continue
        for person in _sides(session):
            seconds = int(offset / timedelta(seconds=1))
            yield NewJob(SendReminder(session.id, session.revision, person, seconds), due)


def schedule_attendance_checks(event: DomainEvent) -> Iterable[NewJob]:
    """Check who is there at the grace time, and fetch the platform's report after the end."""
    session = _session(event)
    grace = event.policies.attendance_grace
    yield NewJob(CheckAttendance(session.id, session.revision), session.start + grace)
    yield NewJob(CollectAttendance(session.id, session.revision), session.end)


def announce_absence(event: DomainEvent) -> Iterable[NewJob]:
    """Announce to everybody what an absence plan did, once it cannot be undone any more."""
    plan = _plan(event)
    yield NewJob(AnnounceAbsence(plan.id), plan.due)


def notify_requester_of_proposal(event: DomainEvent) -> Iterable[NewJob]:
    """Ask the requester about the time that is proposed instead of the agreed one."""
    session = _session(event)
    args = SendNotice(
        session.request_id, session.requester_user_id, NoticeType.NEW_TIME_PROPOSED, event.event_id
    )
    yield NewJob(args, event.now)


def end_unanswered_proposal(event: DomainEvent) -> Iterable[NewJob]:
    """End the session if the proposal is not answered in time."""
    session, plan = _session(event), _plan(event)
    yield NewJob(EndProposal(session.id, session.revision, plan.id), plan.due)


REACTIONS: dict[EventType, tuple[Reaction, ...]] = {
    # a consultation is asked for
    EventType.REQUEST_SUBMITTED: (assign_request_at_fallback,),
    EventType.REQUEST_POSTPONED: (assign_request,),
    EventType.REQUEST_HELD: (),
    EventType.REQUEST_WAITING: (),
    EventType.REQUEST_OFFERED: (notify_requester_of_offer,),
    EventType.REQUEST_OFFER_DECLINED: (assign_request,),
    EventType.REQUEST_OFFER_LAPSED: (),
    EventType.REQUEST_CONFIRMATION_REQUESTED: (request_confirmation,),
    EventType.REQUEST_DECLINED: (remove_declined_from_calendar, assign_request),
    EventType.REQUEST_UNANSWERED: (notify_consultant_of_withdrawal, assign_request),
    EventType.REQUEST_REJECTED: (notify_requester_of_rejection, notify_consultant_of_withdrawal),
    EventType.REQUEST_CANCELLED: (notify_consultant_of_withdrawal,),
    # and agreed
    EventType.SESSION_SCHEDULED: (provision_meeting, schedule_reminders, schedule_attendance_checks),
    EventType.SESSION_MEETING_READY: (send_invites,),
    EventType.SESSION_MEETING_FAILED: (send_invites,),
    EventType.SESSION_LINK_MISSING: (),
    EventType.SESSION_UNCOVERED: (),
    EventType.SESSION_LINK_CHANGED: (send_invites, schedule_reminders, schedule_attendance_checks),
    EventType.SESSION_INVITES_UPDATED: (
        update_mailboxes,
        provision_missing_meeting,
        schedule_reminders,
        schedule_attendance_checks,
    ),
    EventType.SESSION_RESCHEDULED: (
        provision_meeting,
        send_invites_if_linked,
        schedule_reminders,
        schedule_attendance_checks,
    ),
    EventType.SESSION_REASSIGNED: (
        cancel_for_former_consultant,
        provision_meeting,
        send_invites_if_linked,
        schedule_reminders,
        schedule_attendance_checks,
    ),
    EventType.SESSION_CANCELLED: (send_cancellations, close_meeting),
    # or its consultant is away
    EventType.ABSENCE_APPLIED: (announce_absence,),
    EventType.ABSENCE_ANNOUNCED: (),
    EventType.ABSENCE_UNDONE: (),
    EventType.SESSION_TIME_PROPOSED: (notify_requester_of_proposal, end_unanswered_proposal),
    # and happens, or not
    EventType.SESSION_STARTED: (),
    EventType.SESSION_SIDE_MISSING: (),
    EventType.SESSION_COMPLETED: (close_meeting,),
    EventType.SESSION_NO_SHOW: (close_meeting,),
    EventType.SESSION_ATTENDANCE_UNKNOWN: (close_meeting,),
    EventType.SESSION_ATTENDANCE_CORRECTED: (),
    EventType.SESSION_OUTCOME_RECORDED: (),
    EventType.SESSION_REPLY_RECORDED: (),
    EventType.SESSION_BILLED: (),
    # what operators decide about work that went wrong
    EventType.JOB_REPLAYED: (),
    EventType.JOB_DISCARDED: (),
    EventType.MESSAGE_REPLAYED: (),
    EventType.MESSAGE_DISCARDED: (),
    EventType.PERSON_FORGOTTEN: (),
}

#: Operators' actions stay inside; of an absence and of a person, the events of their sessions are published.
_INTERNAL = {type_ for type_ in REACTIONS if type_.startswith(("job.", "message.", "absence.", "person."))}

#: The types that other services receive. The others are history that concerns nobody outside.
PUBLISHED = (
    frozenset(REACTIONS)
    - _INTERNAL
    - {
        EventType.REQUEST_POSTPONED,
        EventType.SESSION_SIDE_MISSING,
        EventType.SESSION_LINK_CHANGED,
        EventType.SESSION_INVITES_UPDATED,
    }
)


def jobs_for(event: DomainEvent) -> list[NewJob]:
    """Every job that an event leads to. Raises KeyError for a type without an entry in `REACTIONS`."""
    jobs = [job for react in REACTIONS[event.type] for job in react(event)]
    if event.type in PUBLISHED:
        jobs.append(NewJob(PublishEvent(event.event_id), event.now))
    return jobs
