"""Booking a series: every start is tried, so that all conflicts are told; one is enough to book none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.availability import store as ledger
from booking_tasks.availability.service import NotTaken
from booking_tasks.contracts import BookSeries, Conflict, SeriesOutcome, SeriesSession
from booking_tasks.identity import uuid7
from booking_tasks.models import ConsultationRequest, ScheduledSession
from booking_tasks.occasion import Occasion
from booking_tasks.series import store
from booking_tasks.series.rules import starts_of
from booking_tasks.sessions import service as sessions

_refused = SeriesOutcome.refusal


def book_series(db: Session, occasion: Occasion, command: BookSeries) -> SeriesOutcome:
    """Book every start, or none and say which ones are in the way."""
    refusal = _unusable(db, occasion, command)
    if refusal is not None:
        return refusal
    length = ledger.session_length(db, command.consultant_user_id, command.service_type_id, occasion.now)
    if length is None:
        return _refused("not_bookable", "consultant_user_id", "takes no bookings; choose another")
    savepoint = db.begin_nested()
    agreed: list[ScheduledSession] = []
    conflicts: list[Conflict] = []
    for start in starts_of(command.starts, command.weekly):
        found = _book(db, occasion, command, start, length)
        if isinstance(found, NotTaken):
            conflicts.append(Conflict(start=start, code=found.code))
        else:
            agreed.append(found)
    if conflicts:
        savepoint.rollback()
        return SeriesOutcome(
            result="refused",
            code="conflicts",
            message=f"{len(conflicts)} of {len(conflicts) + len(agreed)} starts cannot be booked",
            conflicts=tuple(conflicts),
        )
    savepoint.commit()
    return SeriesOutcome(
        result="done", series_id=command.series_id, sessions=tuple(_shown(one) for one in agreed)
    )


def _unusable(db: Session, occasion: Occasion, command: BookSeries) -> SeriesOutcome | None:
    kind = ledger.service_type(db, command.service_type_id)
    if kind is None or not kind.is_active:
        return _refused("unknown_service_type", "service_type_id", "names no active service type")
    if command.consultant_user_id == command.requester_user_id:
        return _refused("is_the_requester", "consultant_user_id", "is the requester; choose another")
    if store.series_exists(db, command.series_id, command.requester_user_id):
        return _refused("series_exists", "series_id", "is in use; choose a new one")
    if ledger.lock_consultant(db, command.consultant_user_id) is None:
        return _refused("unknown_consultant", "consultant_user_id", "names no consultant")
    if ledger.needing_confirmation(db, [command.consultant_user_id], kind.id, occasion.now):
        return _refused("must_be_confirmed", "consultant_user_id", "confirms each booking; ask one by one")
    return None


def _book(
    db: Session, occasion: Occasion, command: BookSeries, start: datetime, length: timedelta
) -> ScheduledSession | NotTaken:
    savepoint = db.begin_nested()
    request = ConsultationRequest(
        id=uuid7(),
        requester_user_id=command.requester_user_id,
        company_id=command.company_id,
        consultation_service_type_id=command.service_type_id,
        preferred_consultant_user_id=command.consultant_user_id,
        preferred_start_time=start,
        required_specializations=[],
        excluded_consultant_user_ids=[],
        request_details=command.details,
        status="pending",
        requested_at=occasion.now,
        series_id=command.series_id,
    )
    db.add(request)
    db.flush()
    agreed = sessions.agree(db, occasion, request, command.consultant_user_id, start, start + length)
    if isinstance(agreed, NotTaken):
        savepoint.rollback()
        return agreed
    savepoint.commit()
    assignment.chosen_by_requester(db, occasion, request, start)
    return agreed


def _shown(session: ScheduledSession) -> SeriesSession:
    return SeriesSession(
        session_id=session.id,
        request_id=session.consultation_request_id,
        start=session.scheduled_start_time.astimezone(UTC),
        end=session.scheduled_end_time.astimezone(UTC),
    )
