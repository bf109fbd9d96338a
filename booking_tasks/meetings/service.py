"""The use cases of a session's room: make it, store its link, close it, fetch its report, compare."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.attendance.store import insert_evidence
from booking_tasks.context import Context
from booking_tasks.enums import Party, SessionStatus
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped
from booking_tasks.meetings import store
from booking_tasks.meetings.rules import (
    AttendanceReport,
    CloseOrder,
    Differences,
    ListedRoom,
    ReportOrder,
    Room,
    RoomOrder,
    RoomSpec,
    differences,
    evidence_of,
    link_events,
)
from booking_tasks.models import ScheduledSession
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import CloseMeeting, CloseReason, CollectAttendance, ProvisionMeeting
from booking_tasks.outbox.jobs import NewJob
from booking_tasks.outbox.pending_wakeups import wake_after_commit
from booking_tasks.states import OPEN

#: How far back the rooms of ended sessions are compared.
LOOKBACK = timedelta(days=2)
#: DTSTAMP has whole seconds (RFC 5545 section 3.3.5), so two revisions lie at least this far apart.
_REVISION_STEP = timedelta(seconds=1)
#: The source of evidence from the meeting platform.
PLATFORM = "platform"


def order_room(db: Session, ctx: Context, job: LeasedJob[ProvisionMeeting]) -> RoomOrder | Skipped:
    """The order to the platform for this job, if the session still needs it.

    An earlier try may have made a room and lost the reply: when the session is over, that room is closed as
    well.
    """
    session = store.session(db, job.args.session_id)
    if session is None:
        return Skipped("unknown session")
    is_over = session.scheduled_end_time <= ctx.now
    if session.status not in OPEN or is_over:
        if job.send_attempts > 0:
            _order_late_closing(db, ctx, session)
        return Skipped("the session is over" if is_over else f"session is {session.status}")
    if session.revision != job.args.revision:
        return Skipped("superseded")
    spec = RoomSpec(
        session_id=session.id,
        revision=session.revision,
        starts_at=session.scheduled_start_time.astimezone(UTC),
        ends_at=session.scheduled_end_time.astimezone(UTC),
        requester_user_id=session.requester_user_id,
        consultant_user_id=session.consultant_user_id,
    )
    return RoomOrder(key=job.key, spec=spec)


def store_link(db: Session, ctx: Context, job: LeasedJob[ProvisionMeeting], room: Room) -> None:
    """Store the link that a platform returned, unless the session ended or changed meanwhile.

    People who were invited without this link are notified of it under a new revision.
    """
    session = store.locked_session(db, job.args.session_id)
    if session is None:
        return
    if session.status not in OPEN:
        _order_late_closing(db, ctx, session)
        return
    if session.revision != job.args.revision:
        return
    before = _link(session)
    events = link_events(
        session.meeting_platform_join_url,
        room.join_url,
        invited=store.has_invites(db, session.id, session.revision),
        announced=store.has_event(db, EventType.SESSION_MEETING_READY, session.id, session.revision),
    )
    session.meeting_platform_session_id = room.room_id
    session.meeting_platform_join_url = room.join_url
    session.updated_at = ctx.now
    if EventType.SESSION_LINK_CHANGED in events:
        session.revision += 1
        session.revised_at = max(ctx.now, session.revised_at + _REVISION_STEP)
    for event in events:
        outbox.record_event(db, ctx, event, session=session, before=before, after=_link(session))


def _link(session: ScheduledSession) -> dict[str, str | int | None]:
    return {
        "revision": session.revision,
        "meeting_platform_session_id": session.meeting_platform_session_id,
        "meeting_platform_join_url": session.meeting_platform_join_url,
    }


def record_missing_link(db: Session, ctx: Context, job: LeasedJob[ProvisionMeeting], reason: str) -> None:
    """Record that no link could be made, once for each revision, if people still wait for one."""
    session = store.locked_session(db, job.args.session_id)
    if session is None or session.status != SessionStatus.SCHEDULED or session.revision != job.args.revision:
        return
    if session.meeting_platform_join_url is not None:
        return
    if not store.has_event(db, EventType.SESSION_MEETING_FAILED, session.id, session.revision):
        after = {"revision": session.revision}
        outbox.record_event(
            db, ctx, EventType.SESSION_MEETING_FAILED, session=session, after=after, reason=reason
        )


def report_missing_link(db: Session, ctx: Context, session_id: UUID) -> bool:
    """Record, once for each revision, that a session begins soon without a link; returns whether it did."""
    session = store.locked_session(db, session_id)
    if session is None or session.status != SessionStatus.SCHEDULED:
        return False
    if session.meeting_platform_join_url is not None:
        return False
    if store.has_event(db, EventType.SESSION_LINK_MISSING, session.id, session.revision):
        return False
    outbox.record_event(
        db, ctx, EventType.SESSION_LINK_MISSING, session=session, after={"revision": session.revision}
    )
    return True


def order_closing(db: Session, job: LeasedJob[CloseMeeting]) -> CloseOrder | Skipped:
    """The order to close a room, if there can be one that nobody needs any more."""
    session = store.session(db, job.args.session_id)
    if session is None or session.status in OPEN:
        return Skipped("unknown session" if session is None else "the session is still on")
    if job.args.reason != CloseReason.FOUND_ORPHANED and not store.was_ordered(db, job.args.session_id):
        return Skipped("no room was ever ordered")
    return CloseOrder(key=job.key, session_id=session.id)


def order_report(db: Session, ctx: Context, job: LeasedJob[CollectAttendance]) -> ReportOrder | Skipped:
    """The order to fetch the report, if the session still waits for its verdict."""
    session = store.session(db, job.args.session_id)
    if session is None or session.status not in OPEN:
        return Skipped("unknown session" if session is None else f"session is {session.status}")
    if session.revision != job.args.revision:
        return Skipped("superseded")
    if session.status == SessionStatus.SCHEDULED and ctx.now < session.scheduled_end_time:
        return Skipped("the session is not over")
    return ReportOrder(session_id=session.id)


def store_report(
    db: Session, ctx: Context, job: LeasedJob[CollectAttendance], report: AttendanceReport | None
) -> int:
    """Store the platform's observations as evidence; returns how many rows are new. No verdict is made here.

    A report that is not complete is fetched once more, halfway to the verdict.
    """
    session = store.session(db, job.args.session_id)
    if session is None or report is None:
        return 0
    if not report.complete and not job.args.is_repeat:
        due = session.scheduled_end_time + ctx.policies.verdict_delay / 2
        outbox_store.insert_jobs(
            db, [NewJob(CollectAttendance(session.id, job.args.revision, is_repeat=True), due)]
        )
    parties = {session.requester_user_id: Party.REQUESTER, session.consultant_user_id: Party.CONSULTANT}
    return insert_evidence(db, session.id, PLATFORM, evidence_of(report, parties, ctx.now))


def reconcile(db: Session, ctx: Context, listed: Sequence[ListedRoom]) -> Differences:
    """Insert the jobs that make the platform's rooms and our sessions agree, once a day for each.

    `listed` are the platform's rooms that start within `LOOKBACK` and the horizon. Rooms of
    unknown sessions are returned, never touched.
    """
    known = store.sessions_to_compare(
        db,
        (room.session_id for room in listed),
        ctx.now,
        ctx.now + ctx.policies.horizon,
    )
    found = differences(listed, known)
    day = ctx.now.astimezone(UTC).date()
    orphans = [
        NewJob(CloseMeeting(one.id, one.revision, CloseReason.FOUND_ORPHANED, day), ctx.now)
        for one in found.orphans
    ]
    missing = [
        NewJob(ProvisionMeeting(one.id, one.revision, reconcile_day=day), ctx.now) for one in found.missing
    ]
    _insert_due_jobs(db, [*orphans, *missing])
    return found


def _order_late_closing(db: Session, ctx: Context, session: ScheduledSession) -> None:
    args = CloseMeeting(session.id, session.revision, CloseReason.MADE_TOO_LATE)
    _insert_due_jobs(db, [NewJob(args, ctx.now)])


def _insert_due_jobs(db: Session, jobs: Sequence[NewJob]) -> None:
    """Insert jobs that are due now, and wake workers after the commit."""
    wake_after_commit(db, {job.job_type for job in outbox_store.insert_jobs(db, jobs)})
