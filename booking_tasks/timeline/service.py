"""Builds the timeline of one request, with attempts and reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
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
from booking_tasks.timeline.rules import TimelineEntry, change, choice, in_order, to_minute

_LIMIT = 10_000


@dataclass(frozen=True)
class Timeline:
    """The state of a request and its session, and the entries that led to it."""

    request_id: UUID
    session_id: UUID | None
    state: str
    entries: list[TimelineEntry]


def timeline_of(db: Session, id_: UUID) -> Timeline | None:
    """Return everything known of a request or of the request of a session; None for an unknown id.

    Times are real time; an event whose business time differs from it contains both.
    """
    request = store.request_of(db, id_)
    if request is None:
        return None
    session = store.session_of(db, request.id)
    subjects = [request.id] if session is None else [request.id, session.id]
    events = store.events(db, request.id)
    entries: list[TimelineEntry] = []
    for message in store.messages(db, {one.message_id for one in events if one.message_id}, subjects):
        entries += _message(message)
    dead_letters = {
        row.id: row
        for subject in subjects
        for row in inbox.dead_letters(db, DeadLetterFilter(about=subject), _LIMIT)
    }
    entries += [_dead_letter(row) for row in dead_letters.values()]
    entries += [_decision(one) for one in store.decisions(db, request.id)]
    entries += [_event(one) for one in events]
    for job in jobs.jobs_matching(db, JobFilter(about=request.id), _LIMIT):
        entries += _job(job)
    if session is not None:
        entries += [_evidence(one) for one in store.evidence(db, session.id)]
    return Timeline(request.id, session.id if session else None, _state(request, session), in_order(entries))


def _state(request: ConsultationRequest, session: ScheduledSession | None) -> str:
    why = f" ({request.status_reason})" if request.status_reason else ""
    if session is None:
        return f"request {request.status}{why}"
    start, consultant = to_minute(session.scheduled_start_time), session.consultant_user_id
    return (
        f"request {request.status}{why}; session {session.status}, {start}, revision {session.revision},"
        f" consultant {consultant}"
    )


def _message(row: InboxMessage) -> Iterator[TimelineEntry]:
    yield TimelineEntry(row.received_at, "message", row.message_id, f"{row.task} came by {row.entry_point}")
    if row.outcome is None:
        yield TimelineEntry(
            None, "message", row.message_id, f"{row.task} has no answer after {row.attempts} attempts"
        )
        return
    code = f" ({row.outcome['code']})" if row.outcome.get("code") else ""
    answer = f"{row.task} answered {row.outcome.get('result')}{code}, attempts: {row.attempts}"
    yield TimelineEntry(row.finished_at, "message", row.message_id, answer)


def _dead_letter(row: DeadLetter) -> TimelineEntry:
    return TimelineEntry(
        row.received_at, "dead letter", row.id, f"{row.task} by {row.entry_point}: {row.reason}"
    )


def _decision(row: AssignmentDecision) -> TimelineEntry:
    text = choice(row.reason, row.consultant_user_id, row.start_time, row.candidates)
    return TimelineEntry(made_at(row.id) or row.decided_at, "decision", row.id, text)


def _event(row: Event) -> TimelineEntry:
    at = made_at(row.id) or row.occurred_at
    parts = [f"{row.type} by {row.actor} ({row.entry_point})"]
    if _differs(at, row.occurred_at):
        parts.append(f"business time {to_minute(row.occurred_at)}")
    if row.before or row.after:
        parts.append(change(row.before, row.after))
    if row.reason:
        parts.append(f"reason: {row.reason}")
    return TimelineEntry(at, "event", row.id, "; ".join(parts))


def _differs(one: datetime, other: datetime) -> bool:
    return abs(one - other) > timedelta(minutes=1)


def _job(row: Job) -> Iterator[TimelineEntry]:
    to = f" to {row.args['recipient']}" if "recipient" in row.args else ""
    what = f"{row.job_type}{to}"
    about = "".join(f", {name} {value}" for name, value in _further_args(row))
    at = made_at(row.id) or row.created_at
    yield TimelineEntry(at, "job", row.id, f"{what} created, due {to_minute(row.due_at)}{about}")
    cause = f": {row.last_error}" if row.last_error else ""
    tries = f"attempts: {row.attempts}, send attempts: {row.send_attempts}"
    if row.finished_at is not None:
        yield TimelineEntry(row.finished_at, "job", row.id, f"{what} {row.state}, {tries}{cause}")
    else:
        again = f", not before {row.retry_at:%H:%M:%S}Z" if row.retry_at else ""
        text = f"{what} {row.state}, due {to_minute(row.due_at)}{again}, {tries}{cause}"
        yield TimelineEntry(None, "job", row.id, text)


def _further_args(row: Job) -> list[tuple[str, Any]]:
    """A job's arguments beside its subject and recipient, as far as they are set."""
    shown = {str(row.subject_id), row.args.get("recipient")}
    further = [(name, value) for name, value in row.args.items() if value is not None and value is not False]
    return sorted((name, value) for name, value in further if value not in shown)


def _evidence(row: AttendanceEvidence) -> TimelineEntry:
    party = f"{row.party} " if row.party else ""
    return TimelineEntry(
        row.recorded_at,
        "evidence",
        row.id,
        f"{row.source} saw {party}{row.evidence_type} at {row.observed_at:%H:%M:%S}Z",
    )
