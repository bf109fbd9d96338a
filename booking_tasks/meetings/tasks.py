"""Jobs about rooms, and the daily comparison with the platform."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.celery import app
from booking_tasks.context import Context
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import run_due
from booking_tasks.jobs.steps import Send, Skipped
from booking_tasks.kit.errors import EffectError
from booking_tasks.kit.logs import logger
from booking_tasks.kit.settings import settings
from booking_tasks.meetings import service, store
from booking_tasks.meetings.provider import HttpMeetingPlatform, MeetingPlatform
from booking_tasks.meetings.rules import (
    AttendanceReport,
    CloseOrder,
    ListedRoom,
    Order,
    ReportOrder,
    Room,
    RoomOrder,
)
from booking_tasks.outbox.daily_runs import RUN_IS_OPEN, claim_daily_run, has_run_today
from booking_tasks.outbox.job_args import CloseMeeting, CollectAttendance, JobArgs, ProvisionMeeting
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any, for_each_in_own_transaction, unit_of_work

log = logger(__name__)

_ANY_WITHOUT_LINK = query(__package__, "any_without_link")


def _platform() -> HttpMeetingPlatform:
    config = settings()
    token = config.meeting_token.get_secret_value() if config.meeting_token else None
    return HttpMeetingPlatform(config.meeting_url, token, config.meeting_timeout)


def _step(
    order: Order | Skipped,
    job: LeasedJob[JobArgs],
    needed_by: datetime | None = None,
    useful_until: datetime | None = None,
) -> Send | Skipped:
    """An order as bytes; those of an earlier try with an unknown result are sent again unchanged."""
    if isinstance(order, Skipped):
        return order
    return Send(job.payload or order.model_dump_json().encode(), needed_by, useful_until)


class ProvisionMeetingHandler:
    """Makes a session's room and stores its link."""

    def __init__(self, platform: MeetingPlatform) -> None:
        self._platform = platform

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[ProvisionMeeting]) -> Send | Skipped:
        order = service.order_room(db, ctx, job)
        if isinstance(order, Skipped):
            return order
        return _step(order, job, order.spec.starts_at, order.spec.ends_at)

    def perform(self, payload: bytes) -> Room:
        order = RoomOrder.model_validate_json(payload)
        return self._platform.ensure(order.key, order.spec)

    def record(self, db: Session, ctx: Context, job: LeasedJob[ProvisionMeeting], result: Room) -> None:
        service.store_link(db, ctx, job, result)

    def record_delay(self, db: Session, ctx: Context, job: LeasedJob[ProvisionMeeting], reason: str) -> None:
        service.record_missing_link(db, ctx, job, reason)

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[ProvisionMeeting], reason: str) -> None:
        service.record_missing_link(db, ctx, job, reason)


class CloseMeetingHandler:
    """Closes a session's room."""

    def __init__(self, platform: MeetingPlatform) -> None:
        self._platform = platform

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[CloseMeeting]) -> Send | Skipped:
        return _step(service.order_closing(db, job), job)

    def perform(self, payload: bytes) -> None:
        order = CloseOrder.model_validate_json(payload)
        self._platform.end(order.key, order.session_id)

    def record(self, db: Session, ctx: Context, job: LeasedJob[CloseMeeting], result: None) -> None:
        """Nothing: the session's events show why its room was closed."""

    def record_delay(self, db: Session, ctx: Context, job: LeasedJob[CloseMeeting], reason: str) -> None:
        """Nothing: the room stays open until the platform is back."""

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[CloseMeeting], reason: str) -> None:
        """Nothing: the daily comparison finds the room again."""


class CollectAttendanceHandler:
    """Fetches the platform's observations of a session's room."""

    def __init__(self, platform: MeetingPlatform) -> None:
        self._platform = platform

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[CollectAttendance]) -> Send | Skipped:
        return _step(service.order_report(db, ctx, job), job)

    def perform(self, payload: bytes) -> AttendanceReport | None:
        return self._platform.attendance(ReportOrder.model_validate_json(payload).session_id)

    def record(
        self, db: Session, ctx: Context, job: LeasedJob[CollectAttendance], result: AttendanceReport | None
    ) -> None:
        service.store_report(db, ctx, job, result)

    def record_delay(self, db: Session, ctx: Context, job: LeasedJob[CollectAttendance], reason: str) -> None:
        """Nothing: the verdict comes at its time, with or without the report."""

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[CollectAttendance], reason: str) -> None:
        """Nothing: without a report the verdict uses the other evidence."""


@app.task(name=TASK_PREFIX + "provision_meeting")
def provision_meeting() -> int:
    """Make the rooms that are due, or change their times."""
    with _platform() as platform:
        return run_due(ProvisionMeeting, ProvisionMeetingHandler(platform))


@app.task(name=TASK_PREFIX + "close_meeting")
def close_meeting() -> int:
    """Close the rooms that nobody needs any more."""
    with _platform() as platform:
        return run_due(CloseMeeting, CloseMeetingHandler(platform))


@app.task(name=TASK_PREFIX + "collect_attendance")
def collect_attendance() -> int:
    """Fetch the platform's reports of sessions that are over."""
    with _platform() as platform:
        return run_due(CollectAttendance, CollectAttendanceHandler(platform))


@app.task(name=TASK_PREFIX + "report_missing_links")
def report_missing_links() -> int:
    """Report the sessions that begin soon and have no link; returns how many are looked at."""
    if not finds_any(_ANY_WITHOUT_LINK, ahead=settings().policies.link_alert):
        return 0
    with unit_of_work("sweep", "sweep") as (db, ctx):
        sessions = store.sessions_without_link(db, ctx.now, ctx.now + ctx.policies.link_alert)
    return for_each_in_own_transaction(sessions, _report_missing_link)


def _report_missing_link(db: Session, ctx: Context, session_id: UUID) -> None:
    if service.report_missing_link(db, ctx, session_id):
        log.error("meetings.link_missing", session=str(session_id))


@app.task(name=TASK_PREFIX + "reconcile_meetings")
def reconcile_meetings() -> int:
    """Once a day: compare the platform's rooms with our sessions; returns how many did not agree."""
    if not finds_any(RUN_IS_OPEN, schedule="reconcile_meetings"):
        return 0
    listed = _listed_rooms()
    if listed is None:
        return 0
    with unit_of_work("sweep", "sweep") as (db, ctx):
        if not claim_daily_run(db, "reconcile_meetings", ctx.now):
            return 0
        found = service.reconcile(db, ctx, listed)
    if found.unknown_rooms:
        log.warning(
            "meetings.unknown_rooms", count=len(found.unknown_rooms), first=str(found.unknown_rooms[0])
        )
    return len(found.orphans) + len(found.missing)


def _listed_rooms() -> list[ListedRoom] | None:
    """The platform's list, read outside any transaction; None when today is done or it cannot be read.

    The day's run is claimed only after the list is read, so a platform that is away costs one tick.
    """
    with unit_of_work("sweep", "sweep") as (db, ctx):
        if has_run_today(db, "reconcile_meetings", ctx.now):
            return None
    try:
        with _platform() as platform:
            return platform.rooms(ctx.now - service.LOOKBACK, ctx.now + ctx.policies.horizon)
    except EffectError as error:
        log.warning("meetings.not_listed", error=str(error))
        return None
