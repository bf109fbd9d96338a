"""What the choice reads and writes beside the slot ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, exists, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.identity import uuid7
from booking_tasks.models import (
    AssignmentDecision,
    AvailabilitySlot,
    Consultant,
    ConsultationRequest,
    Job,
    TimeOffer,
)

_FREE_STARTS_EACH = text(
    "WITH requester AS ("
    " SELECT range_agg(tstzrange(session_start_time, session_end_time)) AS taken"
    "   FROM consultant_availability_slots"
    "  WHERE requester_user_id = :requester AND status IN ('held', 'booked')"
    "    AND (status = 'booked' OR held_until > :now)"
    "), offered AS ("
    " SELECT f.*, coalesce(r.taken && tstzrange(f.start_time, f.end_time), false) AS collides"
    "   FROM free_starts(:consultants, :service_type, :from_, :to, :now) f CROSS JOIN requester r"
    "  WHERE (CAST(:latest_end AS timestamptz) IS NULL OR f.end_time <= :latest_end)"
    "    AND NOT EXISTS ("  # nobody is asked about the same start twice
    "        SELECT FROM time_offers o"
    "         WHERE o.consultation_request_id = :request"
    "           AND o.consultant_user_id = f.consultant_user_id AND o.start_time = f.start_time)"
    "), ranked AS ("
    " SELECT o.*, row_number() OVER (PARTITION BY consultant_user_id, collides ORDER BY start_time) AS place"
    "   FROM offered o"
    ")"
    " SELECT consultant_user_id, start_time, end_time, collides FROM ranked"
    " WHERE place <= CASE WHEN collides THEN 1 ELSE :each END ORDER BY start_time, consultant_user_id"
).bindparams(
    bindparam("consultants", type_=ARRAY(PG_UUID(as_uuid=True))),
    bindparam("service_type", type_=PG_UUID(as_uuid=True)),
    bindparam("requester", type_=PG_UUID(as_uuid=True)),
    bindparam("request", type_=PG_UUID(as_uuid=True)),
)


def everyone(db: Session) -> list[Consultant]:
    """Every consultant, in id order: also those who cannot, so that the decision can say why."""
    return list(db.execute(select(Consultant).order_by(Consultant.consultant_user_id)).scalars())


def loads(db: Session, consultants: Sequence[UUID], now: datetime) -> dict[UUID, int]:
    """How many bookings and live holds each of them has ahead."""
    rows = db.execute(
        select(AvailabilitySlot.consultant_user_id, func.count())
        .where(
            AvailabilitySlot.consultant_user_id.in_(consultants),
            AvailabilitySlot.end_time > now,
            or_(
                AvailabilitySlot.status == "booked",
                (AvailabilitySlot.status == "held") & (AvailabilitySlot.held_until > now),
            ),
        )
        .group_by(AvailabilitySlot.consultant_user_id)
    )
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True)
class FirstStarts:
    """The first free starts of each consultant, and those who are free only while the requester is not."""

    by_consultant: dict[UUID, list[tuple[datetime, datetime]]]
    requester_busy: frozenset[UUID]


def first_free_starts(
    db: Session,
    consultants: Sequence[UUID],
    request: ConsultationRequest,
    start: datetime,
    end: datetime,
    now: datetime,
    each: int,
) -> FirstStarts:
    """The first `each` starts of every consultant inside the preferred window, with the requester free

    and not asked about them before.
    """
    rows = db.execute(
        _FREE_STARTS_EACH,
        {
            "consultants": list(consultants),
            "service_type": request.consultation_service_type_id,
            "requester": request.requester_user_id,
            "request": request.id,
            "from_": start,
            "to": end,
            "latest_end": request.preferred_end_time,
            "now": now,
            "each": each,
        },
    )
    free: dict[UUID, list[tuple[datetime, datetime]]] = {}
    busy = set()
    for who, begins, ends, collides in rows:
        if collides:
            busy.add(who)
        else:
            free.setdefault(who, []).append((begins, ends))
    return FirstStarts(free, frozenset(busy - free.keys()))


def to_look_at(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """What is true of requests that wait for a consultant: none keeps a start, has an offer, or is to be

    left in peace after one. Without those whose job is dead: looking at them ended a process or failed
    every time, and looking again would only go on with that. They end at their deadline, or a person
    replays the job.
    """
    given_up = exists().where(
        Job.kind == "assign_request", Job.subject_id == ConsultationRequest.id, Job.state == "dead"
    )
    offered = exists().where(
        TimeOffer.consultation_request_id == ConsultationRequest.id, TimeOffer.state == "open"
    )
    held = (ConsultationRequest.status == "pending") & ConsultationRequest.hold_token.is_not(None)
    return (
        ConsultationRequest.status.in_(("pending", "pending_assignment")),
        ~held,
        or_(ConsultationRequest.deadline_at.is_(None), ConsultationRequest.deadline_at > now),
        or_(ConsultationRequest.offer_after.is_(None), ConsultationRequest.offer_after <= now),
        ~offered,
        ~given_up,
    )


def waiting_requests(db: Session, now: datetime, limit: int) -> list[UUID]:
    """Requests that wait for a consultant, the longest unlooked-at first."""
    return list(
        db.execute(
            select(ConsultationRequest.id)
            .where(*to_look_at(now))
            .order_by(ConsultationRequest.updated_at.nulls_first(), ConsultationRequest.id)
            .limit(limit)
        ).scalars()
    )


def add_decision(db: Session, **values: Any) -> None:
    """Keep a decision with its inputs."""
    db.add(AssignmentDecision(id=uuid7(), **values))
    db.flush()
