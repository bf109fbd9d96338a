"""Putting together what happened to one request, with attempts and causes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.inbox import store as inbox
from booking_tasks.inbox.rules import DeadLetterFilter
from booking_tasks.jobs import store as jobs
from booking_tasks.jobs.rules import JobFilter
from booking_tasks.kit.ids import made_at
from booking_tasks.models import (
    AssignmentDecision,
    AttendanceEvidence,
    ConsultationRequest,
    DeadLetter,
    Event,
    InboxMessage,
    Job,
    ScheduledSession,
)
from booking_tasks.timeline import store
from booking_tasks.timeline.rules import Line, change, choice, in_order, moment

_MOST = 10_000


@dataclass(frozen=True)
class Timeline:
    """How a request and its session stand, and how they came there."""

    request_id: UUID
    session_id: UUID | None
    state: str
    lines: list[Line]


def timeline_of(db: Session, id_: UUID) -> Timeline | None:
    """Everything known of a request (or of the request of a session), in order; None for an unknown id.

    Times are real ones; an event of another instant on the business clock says so.
    """
    request = store.request_of(db, id_)
    if request is None:
        return None
    session = store.session_of(db, request.id)
    subjects = [request.id] if session is None else [request.id, session.id]
    events = store.events(db, request.id)
    lines: list[Line] = []
    for message in store.messages(db, {one.message_id for one in events if one.message_id}, subjects):
        lines += _message(message)
    letters = {
        one.id: one for it in subjects for one in inbox.dead_letters(db, DeadLetterFilter(about=it), _MOST)
    }
    lines += [_letter(one) for one in letters.values()]
    lines += [_decision(one) for one in store.decisions(db, request.id)]
    lines += [_event(one) for one in events]
    for job in jobs.wanted(db, JobFilter(about=request.id), _MOST):
        lines += _job(job)
    if session is not None:
        lines += [_evidence(one) for one in store.evidence(db, session.id)]
    return Timeline(request.id, session.id if session else None, _standing(request, session), in_order(lines))


def _standing(request: ConsultationRequest, session: ScheduledSession | None) -> str:
    why = f" ({request.status_reason})" if request.status_reason else ""
    if session is None:
        return f"request {request.status}{why}"
    start, consultant = moment(session.scheduled_start_time), session.consultant_user_id
    return (
        f"request {request.status}{why}; session {session.status}, {start}, revision {session.revision},"
        f" consultant {consultant}"
    )


def _message(row: InboxMessage) -> Iterator[Line]:
    yield Line(row.received_at, "message", row.message_id, f"{row.task} came by {row.entry_point}")
    if row.outcome is None:
        yield Line(None, "message", row.message_id, f"{row.task} has no answer after {row.attempts} attempts")
        return
    code = f" ({row.outcome['code']})" if row.outcome.get("code") else ""
    answer = f"{row.task} answered {row.outcome.get('result')}{code}, attempts: {row.attempts}"
    yield Line(row.finished_at, "message", row.message_id, answer)


def _letter(row: DeadLetter) -> Line:
    return Line(row.received_at, "dead letter", row.id, f"{row.task} by {row.entry_point}: {row.reason}")


def _decision(row: AssignmentDecision) -> Line:
    said = choice(row.reason, row.consultant_user_id, row.start_time, row.candidates)
    return Line(made_at(row.id) or row.decided_at, "decision", row.id, said)


def _event(row: Event) -> Line:
    at = made_at(row.id) or row.occurred_at
    parts = [f"{row.type} by {row.actor} ({row.entry_point})"]
    if _apart(at, row.occurred_at):
        parts.append(f"on the clock {moment(row.occurred_at)}")
    if row.before or row.after:
        parts.append(change(row.before, row.after))
    if row.reason:
        parts.append(f"reason: {row.reason}")
    return Line(at, "event", row.id, "; ".join(parts))


def _apart(one: datetime, other: datetime) -> bool:
    return abs(one - other) > timedelta(minutes=1)


def _job(row: Job) -> Iterator[Line]:
    to = f" to {row.recipient}" if row.recipient else ""
    what = f"{row.job_type}{to}"
    about = f", {row.detail}" if row.detail else ""
    at = made_at(row.id) or row.created_at
    yield Line(at, "job", row.id, f"{what} wanted, due {moment(row.due_at)}, revision {row.revision}{about}")
    cause = f": {row.last_error}" if row.last_error else ""
    tries = f"attempts: {row.attempts}, send attempts: {row.send_attempts}"
    if row.finished_at is not None:
        yield Line(row.finished_at, "job", row.id, f"{what} {row.state}, {tries}{cause}")
    else:
        again = f", not before {row.retry_at:%H:%M:%S}Z" if row.retry_at else ""
        text = f"{what} {row.state}, due {moment(row.due_at)}{again}, {tries}{cause}"
        yield Line(None, "job", row.id, text)


def _evidence(row: AttendanceEvidence) -> Line:
    party = f"{row.party} " if row.party else ""
    return Line(
        row.recorded_at,
        "evidence",
        row.id,
        f"{row.source} saw {party}{row.evidence_type} at {row.observed_at:%H:%M:%S}Z",
    )
