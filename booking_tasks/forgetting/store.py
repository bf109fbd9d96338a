"""The rows that know of a person, and the statements that take the person out of them.

docs/operations.md lists what they reach. Every statement names the rows that were there when the transaction
began: it runs in one snapshot, so that a booking that commits meanwhile is wholly before it or wholly after.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, bindparam, delete, exists, insert, or_, select, text, union
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.enums import RequestStatus, SessionStatus, SlotStatus, StepState, Target
from booking_tasks.forgetting.block_ranges import block_ranges
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import (
    AbsencePlan,
    AbsencePlanStep,
    AvailabilityPlan,
    AvailabilityProjection,
    AvailabilityRule,
    AvailabilitySlot,
    Base,
    CalendarFeed,
    Consultant,
    ConsultantLeave,
    ConsultantPolicy,
    ConsultationRequest,
    DirectoryUser,
    Event,
    ForgottenPerson,
    ScheduledSession,
)
from booking_tasks.outbox.job_args import JobType
from booking_tasks.outbox.jobs import job_types_of
from booking_tasks.sql import query
from booking_tasks.states import OPEN

_NAMED = re.compile(r"(?<!:):(\w+)")
_ID, _IDS = PG_UUID(as_uuid=True), ARRAY(PG_UUID(as_uuid=True))
_TYPES: dict[str, Any] = {
    "user": _ID,
    "person": _ID,
    "message": _ID,
    "requests": _IDS,
    "sessions": _IDS,
    "all_sessions": _IDS,
    "subjects": _IDS,
    "messages": _IDS,
    "events": _IDS,
    "actors": ARRAY(TEXT),
    "composed": ARRAY(TEXT),
    "subject_patterns": ARRAY(TEXT),
    "refusal": JSONB,
    "now": TIMESTAMP(timezone=True),
}

#: In this order. A person who is no consultant has only the first.
_OF_ANYBODY = (
    query(__package__, "erase_messages"),
    query(__package__, "erase_jobs"),
    query(__package__, "delete_dead_letters"),
    query(__package__, "delete_parked_messages"),
    query(__package__, "erase_requests"),
    query(__package__, "erase_sessions"),
    query(__package__, "delete_mailboxes"),
    query(__package__, "erase_reservations"),
    query(__package__, "erase_evidence"),
    query(__package__, "erase_offers"),
    query(__package__, "delete_decisions"),
    query(__package__, "erase_plans"),
    query(__package__, "erase_plan_steps"),
    query(__package__, "delete_entry"),
)
_OF_A_CONSULTANT = (
    query(__package__, "rename_consultant_in_requests"),
    query(__package__, "rename_consultant_in_credits"),
    query(__package__, "rename_consultant_in_balances"),
    query(__package__, "delete_hours"),
)
_DECLARED = (
    AvailabilityRule,
    AvailabilityPlan,
    AvailabilityProjection,
    ConsultantLeave,
    ConsultantPolicy,
    CalendarFeed,
)
_FORGET_IN_EVENTS = text("SELECT forget_in_events_v1(:user, :person, :actors, :events)")
#: A request that waits for something.
_OPEN_REQUEST = (
    RequestStatus.PENDING,
    RequestStatus.PENDING_ASSIGNMENT,
    RequestStatus.PENDING_CONFIRMATION,
)


def names_of(entry: DirectoryUser | None) -> list[str]:
    """The name and the address of a directory entry, in lower case."""
    return [] if entry is None else [entry.name.lower(), entry.email.lower()]


@dataclass(frozen=True)
class PersonTrace:
    """Where a person is named: the rows that were found before anything was locked or changed.

    `requests` and `sessions` are those that they requested, `served` the sessions that they had as a
    consultant. `messages` are locked. Events of this transaction have ids above `made_before`.
    """

    user_id: UUID
    message_id: UUID
    made_before: UUID
    entry: DirectoryUser | None
    consultant: Consultant | None
    requests: Sequence[UUID]
    sessions: Sequence[UUID]
    served: Sequence[UUID]
    plans: Sequence[UUID]
    messages: Sequence[UUID]
    events: Sequence[UUID]

    @property
    def actors(self) -> list[str]:
        """The names under which the person may have acted, beside their id."""
        return names_of(self.entry)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of the person."""
        found = self.requests, self.sessions, self.served, self.plans, self.messages, self.events
        return self.entry is None and self.consultant is None and not any(found)


def trace(db: Session, user_id: UUID, message_id: UUID) -> PersonTrace:
    """Find where a person is named. It locks messages about them, and nothing else.

    A message that is running is waited for; what it changed makes the transaction start again.
    """
    requests = _ids(db, ConsultationRequest.id, ConsultationRequest.requester_user_id == user_id)
    sessions = _ids(db, ScheduledSession.id, ScheduledSession.requester_user_id == user_id)
    entry = db.get(DirectoryUser, user_id, populate_existing=True)
    values = {
        "user": user_id,
        "message": message_id,
        "pattern": f"%{user_id}%",
        "actors": names_of(entry),
        "requests": requests,
        "sessions": sessions,
    }
    messages = _found(db, "inbox", query(__package__, "messages_naming"), values)
    return PersonTrace(
        user_id=user_id,
        message_id=message_id,
        made_before=uuid7(),
        entry=entry,
        consultant=db.get(Consultant, user_id, populate_existing=True),
        requests=requests,
        sessions=sessions,
        served=_ids(
            db,
            ScheduledSession.id,
            or_(
                ScheduledSession.consultant_user_id == user_id,
                ScheduledSession.substitute_user_id == user_id,
            ),
        ),
        plans=_ids(db, AbsencePlan.id, AbsencePlan.consultant_user_id == user_id),
        messages=messages,
        events=_found(db, "events", query(__package__, "events_naming"), values),
    )


def _found(db: Session, table: str, statement: TextClause, values: dict[str, Any]) -> list[UUID]:
    """The ids that a statement finds in the ranges of a table."""
    return [
        one
        for bounds in block_ranges(db, table)
        for one in db.execute(_typed(statement), values | bounds).scalars()
    ]


def has_sessions_to_serve(db: Session, user_id: UUID) -> bool:
    """Whether a consultant has sessions that are not over, or takes part in an absence plan under way."""
    serves = exists().where(ScheduledSession.serving_user_id == user_id, ScheduledSession.status.in_(OPEN))
    has = exists().where(ScheduledSession.consultant_user_id == user_id, ScheduledSession.status.in_(OPEN))
    planned = exists().where(
        AbsencePlanStep.consultant_user_id == user_id,
        AbsencePlanStep.state.in_((StepState.APPLIED, StepState.OFFERED)),
    )
    return bool(db.execute(select(or_(serves, has, planned))).scalar_one())


def sessions_ahead(db: Session, requester_user_id: UUID, now: datetime) -> dict[UUID, UUID]:
    """The sessions that a person requested and that have not begun, with their requests."""
    rows = db.execute(
        select(ScheduledSession.id, ScheduledSession.consultation_request_id).where(
            ScheduledSession.requester_user_id == requester_user_id,
            ScheduledSession.status == SessionStatus.SCHEDULED,
            ScheduledSession.scheduled_start_time > now,
        )
    )
    return {row.id: row.consultation_request_id for row in rows}


def open_requests(db: Session, requester_user_id: UUID) -> list[UUID]:
    """The requests of a person that wait for something."""
    one = ConsultationRequest
    return _ids(db, one.id, one.requester_user_id == requester_user_id, one.status.in_(_OPEN_REQUEST))


def requests_held_with(db: Session, user_id: UUID) -> list[UUID]:
    """The requests for which time of a consultant is held."""
    slot = AvailabilitySlot
    held = slot.consultant_user_id == user_id, slot.status == SlotStatus.HELD
    return [one for one in _ids(db, slot.consultation_request_id, *held) if one is not None]


def people_of(db: Session, sessions: Iterable[UUID], requests: Iterable[UUID]) -> set[UUID]:
    """The consultants whose time is booked or held for these sessions and requests."""
    slot = AvailabilitySlot
    about = or_(
        slot.scheduled_session_id.in_(list(sessions)), slot.consultation_request_id.in_(list(requests))
    )
    return set(_ids(db, slot.consultant_user_id, about))


def erase(db: Session, found: PersonTrace, person_id: UUID, now: datetime, refusal: dict[str, Any]) -> None:
    """Take a person out of every table; `person_id` takes their place in what stays.

    Events and jobs that this transaction has inserted since the trace was made are found too. `refusal` is
    the answer to messages about them that were not run yet.
    """
    db.flush()
    events = sorted({*found.events, *_events_since(db, found)})
    values: dict[str, Any] = {
        "user": found.user_id,
        "person": person_id,
        "pattern": f"%{found.user_id}%",
        "actors": found.actors,
        "now": now,
        "refusal": refusal,
        "requests": found.requests,
        "sessions": found.sessions,
        "all_sessions": [*found.sessions, *found.served],
        "messages": found.messages,
        "events": events,
        "subject_patterns": [f"%{one}%" for one in (*found.requests, *found.sessions)],
        "composed": [*job_types_of(Target.MAIL), JobType.PUBLISH_EVENT],
        "subjects": _subjects(db, found, events),
    }
    db.execute(insert(ForgottenPerson).values(person_id=person_id, forgotten_at=now))
    db.execute(_typed(_FORGET_IN_EVENTS), values)
    if found.consultant is not None:
        db.execute(_typed(query(__package__, "insert_profile")), values)
    for statement in _OF_ANYBODY:
        db.execute(_typed(statement), values)
    if found.consultant is not None:
        _erase_consultant(db, found.user_id, values)
    db.expire_all()


def _erase_consultant(db: Session, user_id: UUID, values: dict[str, Any]) -> None:
    for statement in _OF_A_CONSULTANT:
        db.execute(_typed(statement), values)
    in_decisions = _typed(query(__package__, "rename_consultant_in_decisions"))
    for bounds in block_ranges(db, "assignment_decisions"):
        db.execute(in_decisions, values | bounds)
    for model in (*_DECLARED, Consultant):
        db.execute(_of_consultant(model, user_id))


def _of_consultant(model: type[Base], user_id: UUID) -> Any:
    gone = delete(model).where(model.__table__.c.consultant_user_id == user_id)
    return gone.execution_options(synchronize_session=False)


def _events_since(db: Session, found: PersonTrace) -> list[UUID]:
    """The events of this transaction, and those of the person's own requests."""
    own = select(Event.id).where(Event.consultation_request_id.in_(found.requests))
    new = select(Event.id).where(Event.id > found.made_before, Event.message_id == found.message_id)
    return list(db.execute(union(own, new)).scalars())


def _subjects(db: Session, found: PersonTrace, events: Sequence[UUID]) -> list[UUID]:
    """What jobs can be about that name the person: also requests that they were only asked to confirm."""
    about = select(Event.consultation_request_id, Event.scheduled_session_id).where(Event.id.in_(events))
    named = {one for row in db.execute(about) for one in row if one is not None}
    served = select(ScheduledSession.consultation_request_id).where(ScheduledSession.id.in_(found.served))
    own = {found.user_id, *found.requests, *found.sessions, *found.served, *found.plans}
    return sorted(own | named | set(events) | set(db.execute(served).scalars()))


def _ids(db: Session, column: Any, *conditions: Any) -> list[Any]:
    return list(db.execute(select(column).where(*conditions).order_by(column)).scalars())


def _typed(statement: TextClause) -> TextClause:
    used = set(_NAMED.findall(statement.text)) & _TYPES.keys()
    return statement.bindparams(*(bindparam(one, type_=_TYPES[one]) for one in sorted(used)))
