"""What the choice reads and writes beside the slot ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, exists, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.identity import uuid7
from booking_tasks.models import AssignmentDecision, AvailabilitySlot, Consultant, ConsultationRequest, Job

_FREE_STARTS_EACH = text(
    "WITH requester AS ("
    " SELECT range_agg(tstzrange(session_start_time, session_end_time)) AS taken"
    "   FROM consultant_availability_slots"
    "  WHERE requester_user_id = :requester AND status IN ('held', 'booked')"
    "    AND (status = 'booked' OR held_until > :now)"
    "), offered AS ("
    " SELECT f.*, coalesce(r.taken && tstzrange(f.start_time, f.end_time), false) AS collides"
    "   FROM free_starts(:consultants, :service_type, :from_, :to, :now) f CROSS JOIN requester r"
    "  WHERE CAST(:latest_end AS timestamptz) IS NULL OR f.end_time <= :latest_end"
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
    service_type_id: UUID,
    requester_user_id: UUID,
    start: datetime,
    end: datetime,
    latest_end: datetime | None,
    now: datetime,
    each: int,
) -> FirstStarts:
    """The first `each` starts of every consultant, ending by `latest_end`, at which the requester is free."""
    rows = db.execute(
        _FREE_STARTS_EACH,
        {
            "consultants": list(consultants),
            "service_type": service_type_id,
            "requester": requester_user_id,
            "from_": start,
            "to": end,
            "latest_end": latest_end,
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


def waiting_requests(db: Session, now: datetime, limit: int) -> list[UUID]:
    """Requests that wait for a consultant, the longest unlooked-at first; not those that keep a start.

    Without those whose job is dead: looking at them ended a process or failed every time, and the
    sweep would only go on with that. They end at their deadline, or a person replays the job.
    """
    given_up = exists().where(
        Job.kind == "assign_request", Job.subject_id == ConsultationRequest.id, Job.state == "dead"
    )
    held = (ConsultationRequest.status == "pending") & ConsultationRequest.hold_token.is_not(None)
    return list(
        db.execute(
            select(ConsultationRequest.id)
            .where(
                ConsultationRequest.status.in_(("pending", "pending_assignment")),
                ~held,
                or_(ConsultationRequest.deadline_at.is_(None), ConsultationRequest.deadline_at > now),
                ~given_up,
            )
            .order_by(ConsultationRequest.updated_at.nulls_first(), ConsultationRequest.id)
            .limit(limit)
        ).scalars()
    )


def add_decision(db: Session, **values: Any) -> None:
    """Keep a decision with its inputs."""
    db.add(AssignmentDecision(id=uuid7(), **values))
    db.flush()
