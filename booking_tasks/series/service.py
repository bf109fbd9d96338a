"""Booking a series: every start is tried, so that all conflicts are reported; one conflict books none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.availability.service import within_horizon
from booking_tasks.context import Context
from booking_tasks.contracts import BookSeries, Conflict, SeriesOutcome, SeriesSession
from booking_tasks.contracts.booking import StartCode
from booking_tasks.contracts.holds import SeriesCode
from booking_tasks.enums import RefusalCode
from booking_tasks.kit.ids import uuid7
from booking_tasks.outbox.pending_wakeups import wake_after_commit
from booking_tasks.outbox.workflow import SessionSnapshot
from booking_tasks.requests.rules import NewRequest
from booking_tasks.series import store
from booking_tasks.series.rules import starts_of
from booking_tasks.sessions.service import draft_session
from booking_tasks.sessions.store import SessionDraft

_refused = SeriesOutcome.refusal


#: What the database answers -> the code, the field at fault, and what to do about it.
_PROBLEMS: dict[str, tuple[SeriesCode, str, str]] = {
    "unknown_service_type": (
        RefusalCode.UNKNOWN_SERVICE_TYPE,
        "service_type_id",
        "names no service type",
    ),
    "service_type_inactive": (
        RefusalCode.SERVICE_TYPE_INACTIVE,
        "service_type_id",
        "is not offered any more",
    ),
    "series_exists": (RefusalCode.SERIES_EXISTS, "series_id", "is in use; choose a new one"),
    "unknown_consultant": (RefusalCode.UNKNOWN_CONSULTANT, "consultant_user_id", "names no consultant"),
    "must_be_confirmed": (
        RefusalCode.MUST_BE_CONFIRMED,
        "consultant_user_id",
        "confirms each booking; ask one by one",
    ),
    "not_available_for_booking": (
        RefusalCode.NOT_AVAILABLE_FOR_BOOKING,
        "consultant_user_id",
        "takes no bookings; choose another",
    ),
    "service_not_offered": (
        RefusalCode.SERVICE_NOT_OFFERED,
        "consultant_user_id",
        "does not offer this service type; choose another",
    ),
    "not_for_company": (
        RefusalCode.NOT_FOR_COMPANY,
        "consultant_user_id",
        "serves other companies; choose another, or set one of them as company_id",
    ),
    "at_capacity": (
        RefusalCode.AT_CAPACITY,
        "consultant_user_id",
        "may not have so many more sessions; choose another, or fewer starts",
    ),
}


def book_series(db: Session, ctx: Context, command: BookSeries) -> SeriesOutcome:
    """Book every start, or none and return which ones conflict. One round trip."""
    if command.consultant_user_id == command.requester_user_id:
        return _refused(
            RefusalCode.IS_THE_REQUESTER, "consultant_user_id", "is the requester; choose another"
        )
    starts = starts_of(command.starts, command.weekly)
    length = store.expected_length(command.service_type_id)
    while True:
        drafts = [_draft(ctx, command, start, length) for start in starts]
        result = store.book_series(db, command, ctx.now, length, drafts)
        if result.length is None or result.refusal != "other_length":
            break
        length = result.length
    if result.refusal == RefusalCode.CONFLICTS:
        return _conflicts(ctx, drafts, result.conflicts)
    if result.refusal is not None:
        return _refused(*_PROBLEMS[result.refusal])
    for draft in drafts:
        wake_after_commit(db, draft.entry.job_types_due(ctx.now))
    sessions_ = tuple(_series_session(draft.session) for draft in drafts)
    return SeriesOutcome(result="done", series_id=command.series_id, sessions=sessions_)


def _draft(ctx: Context, command: BookSeries, start: datetime, length: timedelta) -> SessionDraft:
    request = NewRequest(
        id=uuid7(),
        requester_user_id=command.requester_user_id,
        consultation_service_type_id=command.service_type_id,
        company_id=command.company_id,
        preferred_consultant_user_id=command.consultant_user_id,
        preferred_start_time=start,
        request_details=command.details,
        series_id=command.series_id,
    )
    chosen = assignment.requester_choice(ctx, request, start)
    return draft_session(ctx, request, command.consultant_user_id, start, start + length, chosen)


def _conflicts(ctx: Context, drafts: list[SessionDraft], found: dict[UUID, StartCode]) -> SeriesOutcome:
    conflicts = tuple(
        Conflict(
            start=draft.session.start,
            code=within_horizon(ctx, draft.session.start, found[draft.request.id]),
        )
        for draft in drafts
        if draft.request.id in found
    )
    return SeriesOutcome(
        result="refused",
        code=RefusalCode.CONFLICTS,
        message=f"{len(conflicts)} of {len(drafts)} starts cannot be booked",
        conflicts=conflicts,
    )


def _series_session(session: SessionSnapshot) -> SeriesSession:
    return SeriesSession(
        session_id=session.id,
        request_id=session.request_id,
        start=session.start.astimezone(UTC),
        end=session.end.astimezone(UTC),
    )
