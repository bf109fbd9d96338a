"""The queries of the choice, and the statement that books a start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, bindparam, exists, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.assignment.rules import Criteria, Profile
from booking_tasks.credits.rules import Balance
from booking_tasks.enums import JobState, OfferState, RequestStatus
from booking_tasks.intake.service import Submission
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AssignmentDecision, Consultant, ConsultationRequest, Job, TimeOffer
from booking_tasks.outbox.job_args import JobType
from booking_tasks.outbox.service import OutboxEntry
from booking_tasks.requests.store import mirror_written, request_row
from booking_tasks.sessions.store import as_json
from booking_tasks.sql import query

_FREE_STARTS_EACH = query(__package__, "first_free_starts").bindparams(
    bindparam("consultants", type_=ARRAY(PG_UUID(as_uuid=True))),
    bindparam("service_type", type_=PG_UUID(as_uuid=True)),
    bindparam("requester", type_=PG_UUID(as_uuid=True)),
    bindparam("request", type_=PG_UUID(as_uuid=True)),
)


_PROFILE = (
    "p.consultant_user_id, p.is_available_for_booking, p.specializations, p.languages, p.service_type_ids,"
    " p.company_ids, p.assignment_weight, p.assignment_capacity, p.priority_tier, p.time_zone"
)
_PROFILES = text(f"SELECT {_PROFILE} FROM consultant_profiles p ORDER BY p.consultant_user_id")  # noqa: S608


def profiles(db: Session) -> dict[UUID, Profile]:
    """Every consultant, in order of ids; also the ineligible ones, so that the decision can say why."""
    return {row.consultant_user_id: profile_of(row) for row in db.execute(_PROFILES)}


def profile_of(row: Row[Any] | Consultant) -> Profile:
    """The profile of a consultant or of a row with the columns of one."""
    return Profile(
        consultant_user_id=row.consultant_user_id,
        is_available_for_booking=row.is_available_for_booking,
        specializations=tuple(row.specializations),
        languages=tuple(row.languages),
        service_type_ids=None if row.service_type_ids is None else frozenset(row.service_type_ids),
        company_ids=None if row.company_ids is None else frozenset(row.company_ids),
        weight=row.assignment_weight,
        capacity=row.assignment_capacity,
        tier=row.priority_tier,
        time_zone=row.time_zone,
    )


_LOAD = "count_reservations_ahead_v2(p.consultant_user_id, :now)"
_POOL = query(__package__, "pool").bindparams(
    bindparam("pool", type_=PG_UUID(as_uuid=True)),
    bindparam("requester", type_=PG_UUID(as_uuid=True)),
    bindparam("company", type_=PG_UUID(as_uuid=True)),
    bindparam("now", type_=TIMESTAMP(timezone=True)),
)


@dataclass(frozen=True)
class Pool:
    """All consultants in order of their ids, and what the choice for one request needs to know of them.

    `balances`: those of the pool's members. `must_confirm`: who confirms each booking. `known`: 1.0 for those
    who had this requester before, 0.5 for this company. `loads`: sessions and holds ahead of those who have a
    capacity. `has_aliases`: whether any specialization has other names.
    """

    profiles: dict[UUID, Profile]
    balances: dict[UUID, Balance]
    must_confirm: frozenset[UUID]
    known: dict[UUID, float]
    loads: dict[UUID, int]
    requester_zone: str | None
    has_aliases: bool


def lock_pool(db: Session, criteria: Criteria, now: datetime) -> Pool:
    """Lock the pool of a request's service type until the end of the transaction, and read it at once."""
    rows = db.execute(
        _POOL,
        {
            "pool": criteria.service_type_id,
            "requester": criteria.requester_user_id,
            "company": criteria.company_id,
            "now": now,
        },
    ).all()
    return Pool(
        profiles={row.consultant_user_id: profile_of(row) for row in rows},
        balances={
            row.consultant_user_id: Balance(row.credits, row.assignment_weight, row.assigned_at)
            for row in rows
            if row.credits is not None
        },
        must_confirm=frozenset(row.consultant_user_id for row in rows if row.requires_confirmation),
        known={row.consultant_user_id: float(row.known) for row in rows if row.known},
        loads={row.consultant_user_id: row.load for row in rows if row.load},
        requester_zone=rows[0].requester_zone if rows else None,
        has_aliases=bool(rows and rows[0].has_aliases),
    )


_LOCK_POOL = text("SELECT count(*) FROM lock_pool_v1(:pool, :now)").bindparams(
    bindparam("pool", type_=PG_UUID(as_uuid=True))
)


def lock_pools(db: Session, service_type_ids: Iterable[UUID], now: datetime) -> None:
    """Lock several pools in the order of their ids; `lock_pool` then reads each without waiting."""
    for one in sorted(set(service_type_ids)):
        db.execute(_LOCK_POOL, {"pool": one, "now": now})


class Limits(NamedTuple):
    """Whom a consultant serves, None for every company, and how many reservations ahead they may have."""

    company_ids: frozenset[UUID] | None
    capacity: int | None


def lock_limits(db: Session, consultant_user_id: UUID) -> Limits | None:
    """Lock a consultant and return their limits; None for an unknown one."""
    row = db.execute(
        select(Consultant.company_ids, Consultant.assignment_capacity)
        .where(Consultant.consultant_user_id == consultant_user_id)
        .with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        return None
    return Limits(None if row[0] is None else frozenset(row[0]), row[1])


_FULL = text(
    "SELECT p.consultant_user_id FROM consultant_profiles p"  # noqa: S608 - of constants
    f" WHERE p.consultant_user_id = ANY (:who) AND p.assignment_capacity <= {_LOAD}"
).bindparams(bindparam("who", type_=ARRAY(PG_UUID(as_uuid=True))))


def at_capacity(db: Session, consultants: Sequence[UUID], now: datetime) -> set[UUID]:
    """The consultants who have as many reservations ahead as they may; true while they are locked."""
    return set(db.execute(_FULL, {"who": list(consultants), "now": now}).scalars())


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
    per_consultant: int,
    *,
    within_window: bool = True,
) -> FirstStarts:
    """The first starts of every consultant at which the requester is free and that were not offered before.

    They lie inside the preferred window; with `within_window` False they may end after it.
    """
    rows = db.execute(
        _FREE_STARTS_EACH,
        {
            "consultants": list(consultants),
            "service_type": request.consultation_service_type_id,
            "requester": request.requester_user_id,
            "request": request.id,
            "since": start,
            "until": end,
            "latest_end": request.preferred_end_time if within_window else None,
            "now": now,
            "each": per_consultant,
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


def awaiting_assignment(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """The conditions of requests that wait for a consultant: no hold, no open offer, no cooldown after one.

    A request whose job is dead does not match: its evaluation ended a process or failed every time, and would
    do so again. It ends at its deadline, or an operator replays the job.
    """
    has_dead_job = exists().where(
        Job.job_type == JobType.ASSIGN_REQUEST,
        Job.subject_id == ConsultationRequest.id,
        Job.state == JobState.DEAD,
    )
    has_open_offer = exists().where(
        TimeOffer.consultation_request_id == ConsultationRequest.id, TimeOffer.state == OfferState.OPEN
    )
    held = (ConsultationRequest.status == RequestStatus.PENDING) & ConsultationRequest.hold_token.is_not(None)
    return (
        ConsultationRequest.status.in_((RequestStatus.PENDING, RequestStatus.PENDING_ASSIGNMENT)),
        ~held,
        or_(ConsultationRequest.deadline_at.is_(None), ConsultationRequest.deadline_at > now),
        or_(
            ConsultationRequest.offer_cooldown_until.is_(None),
            ConsultationRequest.offer_cooldown_until <= now,
        ),
        ~has_open_offer,
        ~has_dead_job,
    )


def waiting_requests(db: Session, now: datetime, limit: int) -> list[UUID]:
    """Requests that wait for a consultant, those that were evaluated longest ago first."""
    return list(
        db.execute(
            select(ConsultationRequest.id)
            .where(*awaiting_assignment(now))
            .order_by(ConsultationRequest.updated_at.nulls_first(), ConsultationRequest.id)
            .limit(limit)
        ).scalars()
    )


def add_decision(db: Session, **values: Any) -> None:
    """Insert a decision with its inputs."""
    db.add(AssignmentDecision(id=uuid7(), **values))
    db.flush()


def decisions(db: Session, request_id: UUID) -> list[AssignmentDecision]:
    """The decisions about a request, the latest last."""
    return list(
        db.execute(
            select(AssignmentDecision)
            .where(AssignmentDecision.consultation_request_id == request_id)
            .order_by(AssignmentDecision.decided_at, AssignmentDecision.id)
        ).scalars()
    )


_IDS = ("reservation", "session", "consultant", "requester", "request", "service_type", "token", "credit")
_BOOK_OR_HOLD = text(
    "SELECT refusal, session_end FROM book_or_hold_v3(:reservation, :session, :consultant, :requester,"
    " :request, :service_type, :start, :end, :now, :status, :until, :token, :credit, :new_request,"
    " :submitted, :decision, :event, :jobs)"
).bindparams(
    *(bindparam(name, type_=PG_UUID(as_uuid=True)) for name in _IDS),
    *(bindparam(name, type_=JSONB(none_as_null=True)) for name in ("new_request", "submitted", "decision")),
    *(bindparam(name, type_=JSONB) for name in ("event", "jobs")),
)


@dataclass(frozen=True)
class PendingBooking:
    """A booking or a hold for confirmation, as it will be written unless the database refuses it.

    A booking has a `session_id`; a hold ends at `until`. `decision` is the row of the choice;
    `submission` the request, where it is inserted with the booking.
    """

    consultant_user_id: UUID
    start: datetime
    end: datetime
    entry: OutboxEntry
    decision: dict[str, Any] | None
    session_id: UUID | None = None
    until: datetime | None = None
    submission: Submission | None = None


def insert_booking(
    db: Session, request: ConsultationRequest, pending: PendingBooking, now: datetime
) -> tuple[str | None, datetime | None]:
    """Write a booking or a hold: (None, its end), or (the refusal, None). One statement.

    Writes the request where it is new, the session or the hold, the decision, the event with its jobs, and
    the credit. Locks the consultant, then both persons; a refusal writes nothing and releases the locks.
    `other_length` comes with the end that the policy under the lock gives.
    """
    db.flush()  # changes of the request by the caller come before those of the statement
    submission, who = pending.submission, pending.consultant_user_id
    row = db.execute(
        _BOOK_OR_HOLD,
        {
            "reservation": uuid7(),
            "session": pending.session_id,
            "consultant": who,
            "requester": request.requester_user_id,
            "request": request.id,
            "service_type": request.consultation_service_type_id,
            "start": pending.start,
            "end": pending.end,
            "now": now,
            "status": request.status,
            "until": pending.until,
            "token": None if pending.until is None else uuid7(),
            "credit": uuid7(),
            "new_request": None if submission is None else as_json(request_row(request)),
            "submitted": None if submission is None else submission.entry.as_json(),
            "decision": None if pending.decision is None else as_json(pending.decision | {"id": uuid7()}),
            **pending.entry.as_json(),
        },
    ).one()
    if row.refusal is None:
        status = RequestStatus.SCHEDULED if pending.session_id else RequestStatus.PENDING_CONFIRMATION
        written = {"scheduled_session_id": pending.session_id, "assigned_consultant_user_id": who}
        mirror_written(request, now, status, **written)
    return row.refusal, row.session_end
