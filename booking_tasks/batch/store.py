"""What a batch reads and writes. The number of queries does not grow with requests or consultants."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.enums import RequestStatus
from booking_tasks.hours.rules import TravelPeriod
from booking_tasks.kit.time_zones import zone
from booking_tasks.models import (
    AssignmentBatch,
    AssignmentDecision,
    ConsultationRequest,
    DirectoryUser,
    ScheduledSession,
    ServiceType,
    TimeOffer,
)
from booking_tasks.sql import query

#: A week and both its ends, whatever the zone: where sessions that count for a limit can lie.
_AROUND = timedelta(days=9)

_TERMS = query(__package__, "booking_terms").bindparams(
    bindparam("consultants", type_=ARRAY(PG_UUID(as_uuid=True))),
    bindparam("service_type", type_=PG_UUID(as_uuid=True)),
)
_USED = query(__package__, "used_by_day").bindparams(
    bindparam("consultants", type_=ARRAY(PG_UUID(as_uuid=True))),
    bindparam("service_type", type_=PG_UUID(as_uuid=True)),
)


@dataclass(frozen=True)
class SessionLimits:
    """The most of a local day and week (from Monday). None: no limit."""

    day_sessions: int | None = None
    week_sessions: int | None = None
    day_minutes: int | None = None
    week_minutes: int | None = None


@dataclass(frozen=True)
class Usage:
    """What a consultant has on one of their days."""

    sessions: int = 0
    minutes: int = 0


@dataclass(frozen=True)
class BookingTerms:
    """What one consultant asks of a booking of one kind. Limits of that kind, and over all kinds."""

    duration: timedelta
    buffer_before: timedelta
    buffer_after: timedelta
    must_confirm: bool
    time_zone: str
    own: SessionLimits = SessionLimits()
    overall: SessionLimits = SessionLimits()
    travel: tuple[TravelPeriod, ...] = ()

    @property
    def length(self) -> timedelta:
        """How long a session keeps the consultant."""
        return self.buffer_before + self.duration + self.buffer_after

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return (self.own, self.overall) != (SessionLimits(), SessionLimits())


_BALANCES = query(__package__, "balances").bindparams(bindparam("pool", type_=PG_UUID(as_uuid=True)))
_LOADS = query(__package__, "reservations_ahead").bindparams(
    bindparam("consultants", type_=ARRAY(PG_UUID(as_uuid=True)))
)


def balances(
    db: Session, service_type_id: UUID
) -> list[tuple[UUID, Decimal | None, Decimal, datetime | None]]:
    """(consultant, credits or None for a newcomer, weight, last assignment) of a pool, which is not locked.

    A plan locks nobody out; each booking is counted under the locks of a single assignment.
    """
    return [(row[0], row[1], row[2], row[3]) for row in db.execute(_BALANCES, {"pool": service_type_id})]


def loads(db: Session, consultants: Sequence[UUID], now: datetime) -> dict[UUID, int]:
    """How many sessions and live holds of any kind each has ahead; only those who have one."""
    if not consultants:
        return {}
    rows = db.execute(_LOADS, {"consultants": list(consultants), "now": now})
    return {row[0]: row[1] for row in rows}


def known_requesters(db: Session, requesters: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """(requester, consultant) of those who had a session together that was not cancelled."""
    rows = db.execute(
        select(ScheduledSession.requester_user_id, ScheduledSession.consultant_user_id)
        .where(
            ScheduledSession.requester_user_id.in_(requesters),
            ScheduledSession.status.not_like("cancelled%"),
        )
        .distinct()
    )
    return [(row[0], row[1]) for row in rows]


def known_companies(db: Session, companies: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """(company, consultant) of those who were assigned to somebody of the company."""
    if not companies:
        return []
    earlier = ConsultationRequest
    rows = db.execute(
        select(earlier.company_id, earlier.assigned_consultant_user_id)
        .where(
            earlier.company_id.in_(companies),
            earlier.assigned_consultant_user_id.is_not(None),
            earlier.status.in_((RequestStatus.SCHEDULED, RequestStatus.COMPLETED)),
        )
        .distinct()
    )
    return [(row[0], row[1]) for row in rows if row[0] is not None and row[1] is not None]


def zones(db: Session, people: Sequence[UUID]) -> dict[UUID, str]:
    """The time zones of those the directory knows."""
    rows = db.execute(
        select(DirectoryUser.user_id, DirectoryUser.time_zone).where(DirectoryUser.user_id.in_(people))
    )
    return {row[0]: row[1] for row in rows}


def requests(db: Session, ids: Sequence[UUID]) -> list[ConsultationRequest]:
    """The requests, those that have waited longest first."""
    return list(
        db.execute(
            select(ConsultationRequest)
            .where(ConsultationRequest.id.in_(ids))
            .order_by(ConsultationRequest.requested_at, ConsultationRequest.id)
        ).scalars()
    )


def service_types(db: Session, ids: Collection[UUID]) -> dict[UUID, ServiceType]:
    """The kinds of consultation by id, active or not."""
    if not ids:
        return {}
    return {one.id: one for one in db.execute(select(ServiceType).where(ServiceType.id.in_(ids))).scalars()}


def terms(
    db: Session, consultants: Sequence[UUID], service_type_id: UUID, now: datetime
) -> dict[UUID, BookingTerms]:
    """What each of the consultants asks of a booking of this kind."""
    rows = db.execute(_TERMS, {"consultants": list(consultants), "service_type": service_type_id, "now": now})
    return {
        row[0]: BookingTerms(
            row[1],
            row[2],
            row[3],
            row[4],
            row[5],
            SessionLimits(*row[6:10]),
            SessionLimits(*row[10:14]),
            _travel(row[14] or ()),
        )
        for row in rows
    }


def _travel(declared: Iterable[Mapping[str, str]]) -> tuple[TravelPeriod, ...]:
    days = date.fromisoformat
    return tuple(
        TravelPeriod(days(one["first_day"]), days(one["last_day"]), zone(one["time_zone"]))
        for one in declared
    )


def used(
    db: Session,
    consultants: Sequence[UUID],
    service_type_id: UUID,
    start: datetime,
    end: datetime,
    now: datetime,
) -> dict[tuple[UUID, date], tuple[Usage, Usage]]:
    """What each consultant has on each of their days around a time: of this kind, and of all kinds."""
    rows = db.execute(
        _USED,
        {
            "consultants": list(consultants),
            "service_type": service_type_id,
            "since": start - _AROUND,
            "until": end + _AROUND,
            "now": now,
        },
    )
    return {(row[0], row[1]): (Usage(row[2], int(row[3])), Usage(row[4], int(row[5]))) for row in rows}


def offered_before(db: Session, ids: Sequence[UUID]) -> set[tuple[UUID, UUID, datetime]]:
    """(request, consultant, start) of every offer: nobody is asked about the same start twice."""
    rows = db.execute(
        select(TimeOffer.consultation_request_id, TimeOffer.consultant_user_id, TimeOffer.start_time).where(
            TimeOffer.consultation_request_id.in_(ids)
        )
    )
    return {(row[0], row[1], row[2]) for row in rows}


def mark_evaluated(db: Session, ids: Sequence[UUID], now: datetime) -> None:
    """Note that waiting requests were looked at, but for those somebody else has in hand."""
    if not ids:
        return
    waiting = (
        select(ConsultationRequest.id)
        .where(
            ConsultationRequest.id.in_(ids), ConsultationRequest.status == RequestStatus.PENDING_ASSIGNMENT
        )
        .with_for_update(skip_locked=True)
    )
    free = list(db.execute(waiting).scalars())
    db.execute(
        update(ConsultationRequest)
        .where(ConsultationRequest.id.in_(free))
        .values(updated_at=now)
        .execution_options(synchronize_session=False)
    )


def add_batch(db: Session, **values: Any) -> UUID:
    """Keep what was planned; its id."""
    row = AssignmentBatch(**values)
    db.add(row)
    db.flush()
    return row.id


def finish_batch(db: Session, batch_id: UUID, planned: Sequence[UUID], now: datetime) -> None:
    """Note that everything planned was tried, and for how many requests it came true."""
    came_true = select(func.count()).where(
        AssignmentDecision.consultation_request_id.in_(planned),
        AssignmentDecision.consultant_user_id.is_not(None),
        AssignmentDecision.inputs["batch"]["id"].as_string() == str(batch_id),
    )
    db.execute(
        update(AssignmentBatch)
        .where(AssignmentBatch.id == batch_id)
        .values(applied=came_true.scalar_subquery(), finished_at=now)
    )
