"""Deleting what is old of consultations: requests, sessions, texts, decisions, credits, people, hours.

Rows that others have locked are skipped, so that no booking waits.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, delete, exists, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import TSTZRANGE, Range
from sqlalchemy.orm import Session

from booking_tasks.enums import RequestStatus, SlotStatus
from booking_tasks.kit.ids import first_id_of
from booking_tasks.models import (
    AssignmentCredit,
    AssignmentDecision,
    AvailabilityRule,
    AvailabilitySlot,
    Base,
    Consultant,
    ConsultationRequest,
    DirectoryUser,
    ForgottenPerson,
    ScheduledSession,
)
from booking_tasks.sql import query
from booking_tasks.states import OPEN

#: The statuses of a request that has ended, as the indexes write them.
ENDED = (RequestStatus.CANCELLED, RequestStatus.COMPLETED, RequestStatus.REJECTED)

_DELETE_REQUESTS = query(__package__, "delete_requests")
_DELETE_CREDITS = query(__package__, "delete_credits")
_REMOVE_UNKNOWN_CANDIDATES = query(__package__, "remove_unknown_candidates")
_LOCK_POOL = text("SELECT count(*) FROM lock_pool_v1(:pool, :now)")


def erase_request_texts(db: Session, before: datetime, limit: int) -> int:
    """Erase the details of requests that ended before an instant, and the reason of their status."""
    one = ConsultationRequest
    old = (
        select(one.id)
        .where(
            one.status.in_(ENDED),
            or_(one.request_details.is_not(None), one.status_reason.is_not(None)),
            one.requested_at < before,
            func.coalesce(one.updated_at, one.requested_at) < before,
        )
        .order_by(one.requested_at)
    )
    return _erase(db, one, old, limit, request_details=None, status_reason=None)


def erase_session_texts(db: Session, before: datetime, limit: int) -> int:
    """Erase notes, reason and meeting link of sessions that ended before an instant."""
    one = ScheduledSession
    texts = one.outcome_notes, one.status_reason, one.meeting_platform_join_url
    old = (
        select(one.id)
        .where(
            one.status.not_in(sorted(OPEN, reverse=True)),
            or_(*(text_.is_not(None) for text_ in texts)),
            one.scheduled_end_time < before,
            func.coalesce(one.updated_at, one.created_at) < before,
        )
        .order_by(one.scheduled_end_time)
    )
    erased: dict[str, None] = {text_.key: None for text_ in texts}
    return _erase(db, one, old, limit, **erased)


def delete_decisions(db: Session, age: timedelta, limit: int) -> int:
    """Delete the decisions about ended requests that were stored longer ago than this; returns how many.

    Their ids tell when, so that the primary key finds them.
    """
    now: datetime = db.execute(select(func.statement_timestamp())).scalar_one()
    has_ended = exists().where(
        ConsultationRequest.id == AssignmentDecision.consultation_request_id,
        ConsultationRequest.status.in_(ENDED),
    )
    old = select(AssignmentDecision.id).where(AssignmentDecision.id < first_id_of(now - age), has_ended)
    chosen = _locked(old.order_by(AssignmentDecision.id), AssignmentDecision, limit)
    return _deleted(db, delete(AssignmentDecision).where(AssignmentDecision.id.in_(chosen)))


def remove_unknown_candidates(db: Session, age: timedelta, now: datetime, limit: int) -> int:
    """Remove consultants who were forgotten meanwhile from the decisions of this time; returns how many.

    `now` is the business clock, which `forgotten_people` has; the ids of decisions have real time.
    """
    real: datetime = db.execute(select(func.statement_timestamp())).scalar_one()
    values = {"first_id": first_id_of(real - age), "since": now - age, "most": limit}
    return len(db.execute(_REMOVE_UNKNOWN_CANDIDATES, values).all())


def count_credits(db: Session, before: datetime, now: datetime, limit: int) -> int:
    """Add credits from before an instant to their balances, as the next assignment of their pool would.

    Otherwise those of a service type that nobody asks for any more would stay. Returns the number of pools.
    """
    pool = AssignmentCredit.consultation_service_type_id
    uncounted = ~AssignmentCredit.is_counted, AssignmentCredit.credited_at < before
    pools = db.execute(select(pool).where(*uncounted).distinct().order_by(pool).limit(limit)).scalars().all()
    for one in pools:
        db.execute(_LOCK_POOL, {"pool": one, "now": now})
    return len(pools)


def delete_credits(db: Session, before: datetime, limit: int) -> int:
    """Delete credits from before an instant that the balances count; every balance stays as it is."""
    return len(db.execute(_DELETE_CREDITS, {"before": before, "most": limit}).all())


def delete_requests(db: Session, before: datetime, limit: int) -> int:
    """Delete requests that ended before an instant, with sessions and all that refers to them.

    `past_counts` keeps their number, and the balances keep their credits.
    """
    return len(db.execute(_DELETE_REQUESTS, {"before": before, "most": limit}).all())


def delete_people(db: Session, before: datetime, limit: int) -> int:
    """Delete people that no row refers to and whom the directory has not changed since an instant."""
    who = DirectoryUser.user_id
    changed_at = func.coalesce(DirectoryUser.updated_at, DirectoryUser.created_at)
    unused = (
        ~exists().where(ConsultationRequest.requester_user_id == who),
        ~exists().where(ScheduledSession.requester_user_id == who),
        ~exists().where(Consultant.consultant_user_id == who),
    )
    old = select(who).where(changed_at < before, *unused).order_by(changed_at)
    return _deleted(db, delete(DirectoryUser).where(who.in_(_locked(old, DirectoryUser, limit))))


def delete_forgotten_people(db: Session, limit: int) -> int:
    """Delete the ids of forgotten people that no row has any more; returns how many."""
    who = ForgottenPerson.person_id
    unused = (
        ~exists().where(ConsultationRequest.requester_user_id == who),
        ~exists().where(ScheduledSession.requester_user_id == who),
        ~exists().where(Consultant.consultant_user_id == who),
    )
    old = select(who).where(*unused).order_by(who)
    return _deleted(db, delete(ForgottenPerson).where(who.in_(_locked(old, ForgottenPerson, limit))))


def delete_past_hours(db: Session, before: datetime, limit: int) -> int:
    """Delete windows and blocks of the slot ledger that ended before an instant; returns how many."""
    span = func.tstzrange(AvailabilitySlot.start_time, AvailabilitySlot.end_time)
    ahead = literal(Range(before, None), TSTZRANGE)
    is_past = and_(span.op("<<")(ahead), AvailabilitySlot.end_time < before)
    removed = 0
    for status in (SlotStatus.AVAILABLE, SlotStatus.UNAVAILABLE):  # each has an index of its own
        old = select(AvailabilitySlot.id).where(AvailabilitySlot.status == status, is_past)
        chosen = _locked(old, AvailabilitySlot, limit - removed)
        removed += _deleted(db, delete(AvailabilitySlot).where(AvailabilitySlot.id.in_(chosen)))
    return removed


def delete_single_hours(db: Session, before: date, limit: int) -> int:
    """Delete declared hours of single dates before a day; returns how many."""
    day = AvailabilityRule.local_date
    old = select(AvailabilityRule.id).where(day < before).order_by(day)
    chosen = _locked(old, AvailabilityRule, limit)
    return _deleted(db, delete(AvailabilityRule).where(AvailabilityRule.id.in_(chosen)))


def _locked(old: Select[Any], model: type[Base], limit: int) -> Select[Any]:
    # A CTE runs once; a subquery may run again and lock more.
    return select(old.limit(limit).with_for_update(skip_locked=True, of=model).cte("old"))


def _deleted(db: Session, statement: Any) -> int:
    key = statement.table.primary_key.columns
    return len(db.execute(statement.returning(*key).execution_options(synchronize_session=False)).all())


def _erase(db: Session, model: Any, old: Select[Any], limit: int, **values: None) -> int:
    statement = update(model).where(model.id.in_(_locked(old, model, limit))).values(**values)
    return len(db.execute(statement.returning(model.id).execution_options(synchronize_session=False)).all())
