"""The queries and locks of absence plans, and their guarded writes to the slot ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, delete, exists, select, text
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL, JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.absence.rules import UNDER_WAY
from booking_tasks.availability.service import Reservation
from booking_tasks.enums import SessionStatus, SlotStatus
from booking_tasks.models import (
    AbsencePlan,
    AbsencePlanStep,
    AvailabilitySlot,
    Consultant,
    ConsultantPolicy,
    ConsultationRequest,
    ScheduledSession,
)
from booking_tasks.sql import query

#: The columns that a booking takes over from the hold that it replaces.
_COPIED_COLUMNS = (
    "consultant_user_id",
    "start_time",
    "end_time",
    "consultation_request_id",
    "requester_user_id",
    "session_start_time",
    "session_end_time",
)
_UUIDS, _UUID = ARRAY(PG_UUID(as_uuid=True)), PG_UUID(as_uuid=True)

_EVALUATED_START = query(__package__, "evaluated_start").bindparams(
    bindparam("consultants", type_=_UUIDS),
    bindparam("service_type", type_=_UUID),
    bindparam("session", type_=_UUID),
    bindparam("length", type_=INTERVAL()),
)

_LOCK_PERSONS = text("SELECT lock_persons_v1(:persons)").bindparams(bindparam("persons", type_=_UUIDS))

_FIRST_STARTS = query(__package__, "first_starts").bindparams(
    bindparam("consultants", type_=_UUIDS),
    bindparam("service_type", type_=_UUID),
    bindparam("requester", type_=_UUID),
    bindparam("length", type_=INTERVAL()),
)


class EvaluatedStart(NamedTuple):
    """A session's own time with one consultant: the code that it is refused with, or None.

    `own_length` is the length that the consultant declared for the service type, or None.
    """

    refusal: str | None
    own_length: timedelta | None


def evaluated_start(
    db: Session, consultants: Sequence[UUID], session: ScheduledSession, now: datetime
) -> dict[UUID, EvaluatedStart]:
    """The time of a session with each consultant who takes its service type, by the codes of a booking.

    Its own reservation does not count.
    """
    rows = db.execute(
        _EVALUATED_START,
        {
            "consultants": list(consultants),
            "service_type": session.consultation_service_type_id,
            "start": session.scheduled_start_time,
            "now": now,
            "session": session.id,
            "length": session.scheduled_end_time - session.scheduled_start_time,
        },
    )
    return {who: EvaluatedStart(refusal, own_length) for who, refusal, own_length in rows}


def declared_length(db: Session, consultant_user_id: UUID, session: ScheduledSession) -> timedelta | None:
    """The length that the consultant declared for the service type of a session, or None."""
    minutes = db.execute(
        select(ConsultantPolicy.duration_minutes).where(
            ConsultantPolicy.consultant_user_id == consultant_user_id,
            ConsultantPolicy.consultation_service_type_id == session.consultation_service_type_id,
        )
    ).scalar_one_or_none()
    return None if minutes is None else timedelta(minutes=minutes)


def first_starts(
    db: Session,
    consultants: Sequence[UUID],
    service_type_id: UUID,
    requester_user_id: UUID,
    since: datetime,
    until: datetime,
    now: datetime,
    length: timedelta,
) -> dict[UUID, tuple[datetime, datetime]]:
    """The first start of each consultant in [since, until) for a session of a length.

    The requester is free then, too.
    """
    rows = db.execute(
        _FIRST_STARTS,
        {
            "consultants": list(consultants),
            "service_type": service_type_id,
            "requester": requester_user_id,
            "since": since,
            "until": until,
            "now": now,
            "length": length,
        },
    )
    return {who: (start, end) for who, start, end in rows}


def lock_consultants(db: Session, ids: Iterable[UUID]) -> dict[UUID, Consultant]:
    """Lock several consultants in the order of their ids; return those that exist."""
    rows = db.execute(
        select(Consultant)
        .where(Consultant.consultant_user_id.in_(set(ids)))
        .order_by(Consultant.consultant_user_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).scalars()
    return {one.consultant_user_id: one for one in rows}


def lock_sessions(db: Session, ids: Iterable[UUID]) -> dict[UUID, ScheduledSession]:
    """Lock several sessions in the order of their ids; return those that exist."""
    rows = db.execute(
        select(ScheduledSession)
        .where(ScheduledSession.id.in_(set(ids)))
        .order_by(ScheduledSession.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalars()
    return {one.id: one for one in rows}


def lock_requests(db: Session, ids: Iterable[UUID]) -> dict[UUID, ConsultationRequest]:
    """Lock several requests in the order of their ids; return those that exist."""
    rows = db.execute(
        select(ConsultationRequest)
        .where(ConsultationRequest.id.in_(set(ids)))
        .order_by(ConsultationRequest.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalars()
    return {one.id: one for one in rows}


def lock_persons(db: Session, consultants: Iterable[UUID], requesters: Iterable[UUID]) -> None:
    """Lock the consultants, then the time of all these people; each in the order of their ids.

    Whoever reserves time with them waits here. Nobody else may be locked later in the same transaction,
    unless a savepoint around this call is rolled back.
    """
    found = set(consultants)
    lock_consultants(db, found)
    db.execute(_LOCK_PERSONS, {"persons": list(found | set(requesters))})


# -- plans ------------------------------------------------------------------------------------------------


def lock_plan(db: Session, plan_id: UUID) -> AbsencePlan | None:
    """Lock a plan; return it as it is now. Its sessions are locked after it."""
    return db.execute(
        select(AbsencePlan)
        .where(AbsencePlan.id == plan_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def steps_of(db: Session, plan_id: UUID) -> list[AbsencePlanStep]:
    """The steps of a plan, in order of position."""
    return list(
        db.execute(
            select(AbsencePlanStep)
            .where(AbsencePlanStep.plan_id == plan_id)
            .order_by(AbsencePlanStep.position)
            .execution_options(populate_existing=True)
        ).scalars()
    )


def plan_step(db: Session, step_id: UUID) -> AbsencePlanStep | None:
    """One step, as it is now."""
    return db.get(AbsencePlanStep, step_id, populate_existing=True)


def replace_steps(db: Session, plan_id: UUID, steps: Sequence[AbsencePlanStep]) -> None:
    """Replace the steps of a draft."""
    db.execute(delete(AbsencePlanStep).where(AbsencePlanStep.plan_id == plan_id))
    db.add_all(steps)
    db.flush()


def affected_sessions(
    db: Session, consultant_user_id: UUID, span: tuple[datetime, datetime] | None, now: datetime
) -> list[UUID]:
    """The consultant's future sessions, in order of start: those within `span`, or all.

    Sessions that another plan has under way are left out.
    """
    under_way = exists().where(
        AbsencePlanStep.scheduled_session_id == ScheduledSession.id,
        AbsencePlanStep.state.in_(UNDER_WAY),
    )
    found = (
        select(ScheduledSession.id)
        .where(
            ScheduledSession.consultant_user_id == consultant_user_id,
            ScheduledSession.status == SessionStatus.SCHEDULED,
            ScheduledSession.scheduled_start_time > now,
            ~under_way,
        )
        .order_by(ScheduledSession.scheduled_start_time, ScheduledSession.id)
    )
    if span is not None:
        found = found.where(
            ScheduledSession.scheduled_start_time < span[1], ScheduledSession.scheduled_end_time > span[0]
        )
    return list(db.execute(found).scalars())


# -- slots -------------------------------------------------------------------------------------------


def booking_image(db: Session, session_id: UUID) -> dict[str, Any] | None:
    """A session's booked slot with every column, as JSON, or None."""
    return db.execute(
        text(
            "SELECT to_jsonb(f) FROM consultant_availability_slots f"
            " WHERE f.scheduled_session_id = :session AND f.status = 'booked'"
        ),
        {"session": session_id},
    ).scalar_one_or_none()


def booking_id(db: Session, session_id: UUID) -> UUID | None:
    """The id of a session's booked slot, or None."""
    return db.execute(
        select(AvailabilitySlot.id).where(
            AvailabilitySlot.scheduled_session_id == session_id, AvailabilitySlot.status == SlotStatus.BOOKED
        )
    ).scalar_one_or_none()


def restore_booking(db: Session, image: dict[str, Any]) -> None:
    """Insert a slot exactly as `booking_image` returned it, its id included."""
    statement = text(
        "INSERT INTO consultant_availability_slots"
        " SELECT * FROM jsonb_populate_record(NULL::consultant_availability_slots, :image)"
    ).bindparams(bindparam("image", type_=JSONB))
    db.execute(statement, {"image": image})


def insert_block(db: Session, consultant_user_id: UUID, start: str, end: str) -> UUID:
    """Block a consultant's time until a plan is announced or undone; return the block's id."""
    block = AvailabilitySlot(
        consultant_user_id=consultant_user_id,
        start_time=datetime.fromisoformat(start),
        end_time=datetime.fromisoformat(end),
        status=SlotStatus.UNAVAILABLE,
        source="absence",
    )
    db.add(block)
    db.flush()
    return block.id


def delete_slot(db: Session, slot_id: UUID | None, status: SlotStatus) -> bool:
    """Delete a slot of this status; return False when there is none."""
    gone = delete(AvailabilitySlot).where(AvailabilitySlot.id == slot_id, AvailabilitySlot.status == status)
    found = db.execute(gone.returning(AvailabilitySlot.id).execution_options(synchronize_session="fetch"))
    return found.first() is not None


def book_hold(db: Session, slot_id: UUID | None, session_id: UUID, now: datetime) -> Reservation | None:
    """Replace a session's booking by a booking of the held time; return None when the hold has expired.

    The caller has locked the consultants. The booking is a new row with a new id, like every reservation.
    """
    if slot_id is None or not lock_live_hold(db, slot_id, now):
        return None
    own = AvailabilitySlot.scheduled_session_id == session_id, AvailabilitySlot.status == SlotStatus.BOOKED
    db.execute(delete(AvailabilitySlot).where(*own).execution_options(synchronize_session="fetch"))
    held = db.get_one(AvailabilitySlot, slot_id, populate_existing=True)
    booking = AvailabilitySlot(
        **{name: getattr(held, name) for name in _COPIED_COLUMNS},
        status=SlotStatus.BOOKED,
        source="session",
        scheduled_session_id=session_id,
    )
    db.delete(held)
    db.flush()
    db.add(booking)
    db.flush()
    if booking.session_start_time is None or booking.session_end_time is None:
        raise AssertionError("every hold has the session's times (database constraint)")
    return Reservation(booking.id, booking.session_start_time, booking.session_end_time)


def lock_live_hold(db: Session, slot_id: UUID | None, now: datetime) -> bool:
    """Lock a hold, so that no sweep deletes it; return whether it exists and has not expired."""
    found = select(AvailabilitySlot.id).where(
        AvailabilitySlot.id == slot_id,
        AvailabilitySlot.status == SlotStatus.HELD,
        AvailabilitySlot.held_until > now,
    )
    return db.execute(found.with_for_update()).first() is not None
