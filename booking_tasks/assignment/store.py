"""What the choice reads and writes beside the slot ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, bindparam, exists, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.assignment.eligibility import Criteria, Profile
from booking_tasks.credits.rules import Balance
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AssignmentDecision, Consultant, ConsultationRequest, Job, TimeOffer
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
    """Every consultant, in id order: also those who cannot, so that the decision can say why."""
    return {row.consultant_user_id: profile_of(row) for row in db.execute(_PROFILES)}


def profile_of(row: Row[Any] | Consultant) -> Profile:
    """A consultant as the choice sees them."""
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


_LOAD = "count_reservations_ahead_v1(p.consultant_user_id, :now)"
_POOL = query(__package__, "pool").bindparams(
    bindparam("pool", type_=PG_UUID(as_uuid=True)),
    bindparam("requester", type_=PG_UUID(as_uuid=True)),
    bindparam("company", type_=PG_UUID(as_uuid=True)),
    bindparam("now", type_=TIMESTAMP(timezone=True)),
)


@dataclass(frozen=True)
class Facts:
    """What is known beside the profiles: who confirms each booking, who had this requester (1.0) or company

    (0.5) before, how many sessions and holds those with a capacity have ahead; the requester's zone; whether
    any specialization has other names.
    """

    confirming: frozenset[UUID]
    known: dict[UUID, float]
    loads: dict[UUID, int]
    requester_zone: str | None
    has_aliases: bool


@dataclass(frozen=True)
class Pool:
    """Everyone in id order, what the pool's members have, and the facts of one wish."""

    profiles: dict[UUID, Profile]
    balances: dict[UUID, Balance]
    facts: Facts


def lock_pool(db: Session, wish: Criteria, now: datetime) -> Pool:
    """Everyone as they are for a wish; its pool is locked from here on. One round trip."""
    rows = db.execute(
        _POOL,
        {
            "pool": wish.service_type_id,
            "requester": wish.requester_user_id,
            "company": wish.company_id,
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
        facts=Facts(
            confirming=frozenset(row.consultant_user_id for row in rows if row.requires_confirmation),
            known={row.consultant_user_id: float(row.known) for row in rows if row.known},
            loads={row.consultant_user_id: row.load for row in rows if row.load},
            requester_zone=rows[0].requester_zone if rows else None,
            has_aliases=bool(rows and rows[0].has_aliases),
        ),
    )


_FULL = text(
    "SELECT p.consultant_user_id FROM consultant_profiles p"  # noqa: S608 - of constants
    f" WHERE p.consultant_user_id = ANY (:who) AND p.assignment_capacity <= {_LOAD}"
).bindparams(bindparam("who", type_=ARRAY(PG_UUID(as_uuid=True))))


def at_capacity(db: Session, consultants: Sequence[UUID], now: datetime) -> set[UUID]:
    """Those of them who have as much ahead as their capacity allows. Holds good while they are locked."""
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
    """The first `each` starts of every consultant inside the preferred window, with the requester free

    and not asked about them before. With `wanted` False they may end after the window.
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
    """What is true of requests that wait for a consultant: none keeps a start, has an offer, or is to be

    left in peace after one. Without those whose job is dead: looking at them ended a process or failed
    every time, and looking again would only go on with that. They end at their deadline, or a person
    replays the job.
    """
    given_up = exists().where(
        Job.job_type == "assign_request", Job.subject_id == ConsultationRequest.id, Job.state == "dead"
    )
    offered = exists().where(
        TimeOffer.consultation_request_id == ConsultationRequest.id, TimeOffer.state == "open"
    )
    held = (ConsultationRequest.status == "pending") & ConsultationRequest.hold_token.is_not(None)
    return (
        ConsultationRequest.status.in_(("pending", "pending_assignment")),
        ~held,
        or_(ConsultationRequest.deadline_at.is_(None), ConsultationRequest.deadline_at > now),
        or_(
            ConsultationRequest.offer_cooldown_until.is_(None),
            ConsultationRequest.offer_cooldown_until <= now,
        ),
        ~offered,
        ~given_up,
    )


def waiting_requests(db: Session, now: datetime, limit: int) -> list[UUID]:
    """Requests that wait for a consultant, the longest unlooked-at first."""
    return list(
        db.execute(
            select(ConsultationRequest.id)
            .where(*awaiting_assignment(now))
            .order_by(ConsultationRequest.updated_at.nulls_first(), ConsultationRequest.id)
            .limit(limit)
        ).scalars()
    )


def add_decision(db: Session, **values: Any) -> None:
    """Keep a decision with its inputs."""
    db.add(AssignmentDecision(id=uuid7(), **values))
    db.flush()


def decisions(db: Session, request_id: UUID) -> list[AssignmentDecision]:
    """Every look for a consultant, the latest last."""
    return list(
        db.execute(
            select(AssignmentDecision)
            .where(AssignmentDecision.consultation_request_id == request_id)
            .order_by(AssignmentDecision.decided_at, AssignmentDecision.id)
        ).scalars()
    )
