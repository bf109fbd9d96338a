"""Booking a series: every start is tried, so that all conflicts are told; one is enough to book none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.availability.service import NotTaken
from booking_tasks.contracts import BookSeries, Conflict, SeriesOutcome, SeriesSession
from booking_tasks.identity import uuid7
from booking_tasks.journey import SessionFacts
from booking_tasks.occasion import Occasion
from booking_tasks.series import store
from booking_tasks.series.rules import starts_of
from booking_tasks.sessions import service as sessions
from booking_tasks.sessions.rules import NewRequest

_refused = SeriesOutcome.refusal


#: Code -> what of the message is wrong, and what to do about it.
_PROBLEMS = {
    "unknown_service_type": ("service_type_id", "names no active service type"),
    "series_exists": ("series_id", "is in use; choose a new one"),
    "unknown_consultant": ("consultant_user_id", "names no consultant"),
    "must_be_confirmed": ("consultant_user_id", "confirms each booking; ask one by one"),
    "not_bookable": ("consultant_user_id", "takes no bookings; choose another"),
}


def book_series(db: Session, occasion: Occasion, command: BookSeries) -> SeriesOutcome:
    """Book every start, or none and say which ones are in the way."""
    if command.consultant_user_id == command.requester_user_id:
        return _refused("is_the_requester", "consultant_user_id", "is the requester; choose another")
    refusal, length = store.ground(db, command, occasion.now)
    if refusal is not None or length is None:
        code = refusal or "not_bookable"
        return _refused(code, *_PROBLEMS[code])
    starts = starts_of(command.starts, command.weekly)
    if len(starts) == 1:  # whole or not at all by itself
        return _outcome(command, [_book(db, occasion, command, starts[0], length)])
    savepoint = db.begin_nested()
    outcome = _outcome(command, [_book(db, occasion, command, start, length) for start in starts])
    if outcome.result == "done":
        savepoint.commit()
    else:
        savepoint.rollback()
    return outcome


def _book(
    db: Session, occasion: Occasion, command: BookSeries, start: datetime, length: timedelta
) -> SessionFacts | Conflict:
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
    agreed = sessions.agree(
        db, occasion, request, command.consultant_user_id, start, start + length,
        decision=assignment.choice_of_requester(occasion, request, start),
    )  # fmt: skip
    return Conflict(start=start, code=agreed.code) if isinstance(agreed, NotTaken) else agreed


def _outcome(command: BookSeries, found: list[SessionFacts | Conflict]) -> SeriesOutcome:
    conflicts = tuple(one for one in found if isinstance(one, Conflict))
    if conflicts:
        return SeriesOutcome(
            result="refused",
            code="conflicts",
            message=f"{len(conflicts)} of {len(found)} starts cannot be booked",
            conflicts=conflicts,
        )
    sessions_ = tuple(_shown(one) for one in found if isinstance(one, SessionFacts))
    return SeriesOutcome(result="done", series_id=command.series_id, sessions=sessions_)


def _shown(session: SessionFacts) -> SeriesSession:
    return SeriesSession(
        session_id=session.id,
        request_id=session.request_id,
        start=session.start.astimezone(UTC),
        end=session.end.astimezone(UTC),
    )
