"""What giving sessions to others reads and locks beside the slot ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, delete, exists, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.availability.service import Taken
from booking_tasks.models import (
    AbsencePlan,
    AbsencePlanStep,
    AvailabilitySlot,
    Consultant,
    ConsultationRequest,
    ScheduledSession,
)

#: What a hold and the booking made of it have in common.
_COPIED_COLUMNS = (
    "consultant_user_id",
    "start_time",
    "end_time",
    "consultation_request_id",
    "requester_user_id",
    "session_start_time",
    "session_end_time",
)
_INSTANT = timedelta(microseconds=1)

_EVALUATED_START = text(
    "SELECT consultant_user_id, end_time, obstacle"
    "  FROM evaluate_starts_v1(:consultants, :service_type, :start, :just_after, :now, :session)"
    " WHERE start_time = :start"
).bindparams(
    bindparam("consultants", type_=ARRAY(PG_UUID(as_uuid=True))),
    bindparam("service_type", type_=PG_UUID(as_uuid=True)),
    bindparam("session", type_=PG_UUID(as_uuid=True)),
)


_FIRST_STARTS = text(
    "SELECT DISTINCT ON (f.consultant_user_id) f.consultant_user_id, f.start_time, f.end_time"
    "  FROM free_starts_v1(:consultants, :service_type, :since, :until, :now) f"
    " WHERE NOT EXISTS (SELECT FROM consultant_availability_slots t"
    "        WHERE t.requester_user_id = :requester"
    "          AND (t.status = 'booked' OR (t.status = 'held' AND t.held_until > :now))"
    "          AND tstzrange(t.session_start_time, t.session_end_time)"
    "              && tstzrange(f.start_time, f.end_time))"
    " ORDER BY f.consultant_user_id, f.start_time"
).bindparams(
    bindparam("consultants", type_=ARRAY(PG_UUID(as_uuid=True))),
    bindparam("service_type", type_=PG_UUID(as_uuid=True)),
    bindparam("requester", type_=PG_UUID(as_uuid=True)),
)


class EvaluatedStart(NamedTuple):
    """One consultant's start: until when it would last, and what is in its way."""

    end: datetime
    obstacle: str | None


def evaluated_start(
    db: Session,
    consultants: Sequence[UUID],
    service_type_id: UUID,
    start: datetime,
    now: datetime,
    session_id: UUID | None,
) -> dict[UUID, EvaluatedStart]:
    """What stands against one start with each consultant; who does not work then is not in it.

    The session's own booking is no obstacle.
    """
    rows = db.execute(
        _EVALUATED_START,
        {
            "consultants": list(consultants),
            "service_type": service_type_id,
            "start": start,
            "just_after": start + _INSTANT,
            "now": now,
            "session": session_id,
        },
    )
    return {who: EvaluatedStart(end, obstacle) for who, end, obstacle in rows}


def first_starts(
    db: Session,
    consultants: Sequence[UUID],
    service_type_id: UUID,
    requester_user_id: UUID,
    since: datetime,
    until: datetime,
    now: datetime,
) -> dict[UUID, tuple[datetime, datetime]]:
    """The first start of each, in [since, until), at which the requester is free too."""
    rows = db.execute(
        _FIRST_STARTS,
        {
            "consultants": list(consultants),
            "service_type": service_type_id,
            "requester": requester_user_id,
            "since": since,
            "until": until,
            "now": now,
        },
    )
    return {who: (start, end) for who, start, end in rows}


def lock_consultants(db: Session, ids: Iterable[UUID]) -> dict[UUID, Consultant]:
    """Several consultants, locked in the order of their ids; those that exist."""
    rows = db.execute(
        select(Consultant)
        .where(Consultant.consultant_user_id.in_(set(ids)))
        .order_by(Consultant.consultant_user_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).scalars()
    return {one.consultant_user_id: one for one in rows}


# -- several at once, in the order in which everyone locks ----------------------------------------------


def lock_sessions(db: Session, ids: Iterable[UUID]) -> dict[UUID, ScheduledSession]:
    """Several sessions, locked in the order of their ids; those that exist."""
    rows = db.execute(
        select(ScheduledSession)
        .where(ScheduledSession.id.in_(set(ids)))
        .order_by(ScheduledSession.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalars()
    return {one.id: one for one in rows}


def lock_requests(db: Session, ids: Iterable[UUID]) -> dict[UUID, ConsultationRequest]:
    """Several requests, locked in the order of their ids; those that exist."""
    rows = db.execute(
        select(ConsultationRequest)
        .where(ConsultationRequest.id.in_(set(ids)))
        .order_by(ConsultationRequest.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalars()
    return {one.id: one for one in rows}


def lock_requesters(db: Session, ids: Iterable[UUID]) -> None:
    """Several requesters, in order, by the lock that taking time for them takes."""
    for one in sorted(set(ids)):
        db.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended('requester:' || CAST(:who AS uuid), 0))"),
            {"who": one},
        )


# -- plans ------------------------------------------------------------------------------------------------


def lock_plan(db: Session, plan_id: UUID) -> AbsencePlan | None:
    """A plan, locked before the sessions that it is about."""
    return db.execute(
        select(AbsencePlan)
        .where(AbsencePlan.id == plan_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def steps_of(db: Session, plan_id: UUID) -> list[AbsencePlanStep]:
    """A plan's steps, in order."""
    return list(
        db.execute(
            select(AbsencePlanStep)
            .where(AbsencePlanStep.plan_id == plan_id)
            .order_by(AbsencePlanStep.position)
            .execution_options(populate_existing=True)
        ).scalars()
    )


def plan_step(db: Session, step_id: UUID) -> AbsencePlanStep | None:
    """One step, as it stands."""
    return db.get(AbsencePlanStep, step_id, populate_existing=True)


def replace_steps(db: Session, plan_id: UUID, steps: Sequence[AbsencePlanStep]) -> None:
    """Put these in the place of a draft's steps."""
    db.execute(delete(AbsencePlanStep).where(AbsencePlanStep.plan_id == plan_id))
    db.add_all(steps)
    db.flush()


def affected_sessions(
    db: Session, consultant_user_id: UUID, span: tuple[datetime, datetime] | None, now: datetime
) -> list[UUID]:
    """The consultant's sessions ahead in a time, or all of them, in order of start.

    Without those that a plan has under way already.
    """
    under_way = exists().where(
        AbsencePlanStep.scheduled_session_id == ScheduledSession.id,
        AbsencePlanStep.state.in_(("applied", "offered")),
    )
    found = (
        select(ScheduledSession.id)
        .where(
            ScheduledSession.consultant_user_id == consultant_user_id,
            ScheduledSession.status == "scheduled",
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


# -- slots, whole -------------------------------------------------------------------------------------------


def booking_image(db: Session, session_id: UUID) -> dict[str, Any] | None:
    """A session's booked slot with every column, as JSON; None when it has none."""
    return db.execute(
        text(
            "SELECT to_jsonb(f) FROM consultant_availability_slots f"
            " WHERE f.scheduled_session_id = :session AND f.status = 'booked'"
        ),
        {"session": session_id},
    ).scalar_one_or_none()


def booking_id(db: Session, session_id: UUID) -> UUID | None:
    """Which slot a session has now."""
    return db.execute(
        select(AvailabilitySlot.id).where(
            AvailabilitySlot.scheduled_session_id == session_id, AvailabilitySlot.status == "booked"
        )
    ).scalar_one_or_none()


def restore_booking(db: Session, image: dict[str, Any]) -> None:
    """Put a slot back to the last bit, its id included."""
    statement = text(
        "INSERT INTO consultant_availability_slots"
        " SELECT * FROM jsonb_populate_record(NULL::consultant_availability_slots, :image)"
    ).bindparams(bindparam("image", type_=JSONB))
    db.execute(statement, {"image": image})


def insert_block(db: Session, consultant_user_id: UUID, start: str, end: str) -> UUID:
    """Keep a consultant's time from being booked until a plan is told; the block's id."""
    block = AvailabilitySlot(
        consultant_user_id=consultant_user_id,
        start_time=datetime.fromisoformat(start),
        end_time=datetime.fromisoformat(end),
        status="unavailable",
        source="absence",
    )
    db.add(block)
    db.flush()
    return block.id


def delete_slot(db: Session, slot_id: UUID | None, status: str) -> bool:
    """Take one slot away; False when it is no longer there as that."""
    gone = delete(AvailabilitySlot).where(AvailabilitySlot.id == slot_id, AvailabilitySlot.status == status)
    found = db.execute(gone.returning(AvailabilitySlot.id).execution_options(synchronize_session="fetch"))
    return found.first() is not None


def book_hold(db: Session, slot_id: UUID | None, session_id: UUID, now: datetime) -> Taken | None:
    """Make a live hold the booking of a session, in the place of the one it has; None when it is over.

    The consultants are locked. A booking is a new row, as everywhere.
    """
    if slot_id is None or not lock_live_hold(db, slot_id, now):
        return None
    own = AvailabilitySlot.scheduled_session_id == session_id, AvailabilitySlot.status == "booked"
    db.execute(delete(AvailabilitySlot).where(*own).execution_options(synchronize_session="fetch"))
    held = db.get_one(AvailabilitySlot, slot_id, populate_existing=True)
    booking = AvailabilitySlot(
        **{name: getattr(held, name) for name in _COPIED_COLUMNS},
        status="booked",
        source="session",
        scheduled_session_id=session_id,
    )
    db.delete(held)
    db.flush()
    db.add(booking)
    db.flush()
    if booking.session_start_time is None or booking.session_end_time is None:
        raise AssertionError("the database holds every hold to the session's times")
    return Taken(booking.id, booking.session_start_time, booking.session_end_time)


def lock_live_hold(db: Session, slot_id: UUID | None, now: datetime) -> bool:
    """Whether a hold is still there and not over. Locks it, so that no sweep tidies it away meanwhile."""
    found = select(AvailabilitySlot.id).where(
        AvailabilitySlot.id == slot_id, AvailabilitySlot.status == "held", AvailabilitySlot.held_until > now
    )
    return db.execute(found.with_for_update()).first() is not None
