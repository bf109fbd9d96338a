"""Recording evidence, checking it while the session runs, and judging it after the end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.attendance import rules, store
from booking_tasks.attendance.rules import EvidenceItem, Interval
from booking_tasks.context import Context
from booking_tasks.contracts import (
    EvidenceOutcome,
    RecordAttendance,
    RecordBilling,
    RecordOutcome,
    SessionOutcome,
)
from booking_tasks.contracts.evidence import RecordAttendanceCode, RecordBillingCode, RecordOutcomeCode
from booking_tasks.credits.service import record_verdict
from booking_tasks.enums import Attendance, Party, RefusalCode, RequestStatus, SessionStatus
from booking_tasks.kit.currencies import amount_of, minor_units
from booking_tasks.kit.instants import to_iso
from booking_tasks.models import ScheduledSession
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.requests import service as requests
from booking_tasks.sessions import service as sessions
from booking_tasks.states import CANCELLED, OPEN, VERDICT_EVENTS, VERDICTS


def record_attendance(db: Session, ctx: Context, command: RecordAttendance) -> EvidenceOutcome:
    """Record evidence. The verdict uses it; evidence after the verdict changes nothing by itself."""
    if store.session(db, command.session_id) is None:
        return EvidenceOutcome(
            result="refused", code=RefusalCode.UNKNOWN_SESSION, message="there is no such session"
        )
    recorded = store.insert_evidence(db, command.session_id, command.source, command.observations)
    return EvidenceOutcome(
        result="done" if recorded else "already_done", session_id=command.session_id, recorded=recorded
    )


def check_attendance(db: Session, ctx: Context, session_id: UUID, revision: int) -> str | None:
    """Record, at the grace time, which side has not come yet to a room that is watched.

    Returns why there was nothing to check, or None when it was checked.
    """
    session = store.session(db, session_id)
    if session is None or session.revision != revision:
        return "the session is gone or was moved"
    if session.status not in OPEN:
        return f"the session is {session.status}"
    if ctx.now >= session.scheduled_end_time:
        return "the session is over: the verdict says who came"
    seen = store.observations(db, [session_id])[session_id]
    missing = rules.missing_sides(seen, _agreed(session), ctx.now)
    if missing:
        outbox.record_event(
            db, ctx, EventType.SESSION_SIDE_MISSING, session=session, after={"missing": list(missing)}
        )
    return None


def judge_due(db: Session, ctx: Context, limit: int) -> int:
    """Judge up to `limit` sessions whose verdict is due; return how many."""
    due = store.sessions_to_judge(db, ctx.now, ctx.policies.verdict_delay, limit)
    seen = store.observations(db, [session.id for session in due])
    for session in due:
        _judge(db, ctx, session, seen[session.id])
    return len(due)


def _judge(db: Session, ctx: Context, session: ScheduledSession, seen: list[EvidenceItem]) -> None:
    agreed, minimum = _agreed(session), ctx.policies.attendance_minimum
    requester = rules.side_attendance(seen, Party.REQUESTER, agreed, minimum)
    consultant = rules.side_attendance(seen, Party.CONSULTANT, agreed, minimum)
    status = rules.verdict(requester, consultant)
    request_before = requests.complete(db, ctx, session.consultation_request_id, status)
    session.requester_attendance, session.consultant_attendance = requester, consultant
    session.judged_at = ctx.now
    sessions.transition(
        db,
        ctx,
        session,
        status,
        VERDICT_EVENTS[status],
        before=_of_request(request_before),
        after={"requester_attendance": requester, "consultant_attendance": consultant}
        | _of_request(request_before and RequestStatus.COMPLETED)
        | _summary(seen, agreed),
    )
    if status == SessionStatus.NO_SHOW_USER:
        record_verdict(db, ctx, session.consultation_request_id, session.consultant_user_id, status)


def record_outcome(db: Session, ctx: Context, command: RecordOutcome) -> SessionOutcome[RecordOutcomeCode]:
    """Record notes and correct who attended, if the command has them: all of it, or nothing when refused.

    Notes are taken from the start on, an attendance once the session is judged. Codes:
    `unknown_session`, `not_ended`, `cancelled`.
    """
    session = store.locked_session(db, command.session_id)
    if session is None:
        return _unknown_session()
    refusal = _refusal(session, command)
    if refusal is not None:
        return refusal
    noted = _note(db, ctx, session, command.notes)
    corrected = _correct(db, ctx, session, command)
    return _outcome(session, changed=noted or corrected)


def record_billing(db: Session, ctx: Context, command: RecordBilling) -> SessionOutcome[RecordBillingCode]:
    """Record what was charged; another amount or currency corrects what was recorded before.

    Codes: `unknown_session`, `not_started`, `cancelled`, `attendance_unknown`.
    """
    session = store.locked_session(db, command.session_id)
    if session is None:
        return _unknown_session()
    refusal = _billing_refusal(session, ctx)
    if refusal is not None:
        return refusal
    before = _bill(session)
    session.billed_currency = command.currency
    session.billed_minor_units = minor_units(command.billed_amount, command.currency)
    # The column has two decimals. A rounded amount would be false.
    is_exact = command.billed_amount == round(command.billed_amount, 2)
    session.billed_amount = command.billed_amount if is_exact else None
    if _bill(session) == before:
        return _outcome(session, changed=False)
    session.updated_at = ctx.now
    outbox.record_event(
        db, ctx, EventType.SESSION_BILLED, session=session, before=before, after=_bill(session)
    )
    return _outcome(session, changed=True)


def _billing_refusal(session: ScheduledSession, ctx: Context) -> SessionOutcome[RecordBillingCode] | None:
    code: RecordBillingCode
    if session.status in CANCELLED:
        code, problem = RefusalCode.CANCELLED, "a cancelled session costs nothing"
    elif session.status == SessionStatus.ATTENDANCE_UNKNOWN:
        code = RefusalCode.ATTENDANCE_UNKNOWN
        problem = "nobody knows who attended; correct it with record_outcome first"
    elif session.status == SessionStatus.SCHEDULED and ctx.now < session.scheduled_start_time:
        code, problem = RefusalCode.NOT_STARTED, "the session has not begun; bill it from its start on"
    else:
        return None
    return SessionOutcome(result="refused", code=code, message=problem)


def _bill(session: ScheduledSession) -> dict[str, str | None]:
    """Return what was billed as texts. An amount of before currencies were recorded has none."""
    currency, units, amount = session.billed_currency, session.billed_minor_units, session.billed_amount
    if currency is not None and units is not None:
        amount = amount_of(units, currency)
    return {"billed_amount": None if amount is None else f"{amount:f}", "billed_currency": currency}


def _refusal(session: ScheduledSession, command: RecordOutcome) -> SessionOutcome[RecordOutcomeCode] | None:
    if session.status in CANCELLED:
        return SessionOutcome(
            result="refused", code=RefusalCode.CANCELLED, message="a cancelled session has no outcome"
        )
    if session.status == SessionStatus.SCHEDULED:
        return SessionOutcome(
            result="refused",
            code=RefusalCode.NOT_ENDED,
            message="the session has not begun; tell its outcome later",
        )
    corrects = command.requester_attendance is not None or command.consultant_attendance is not None
    if corrects and session.status not in VERDICTS:
        return SessionOutcome(
            result="refused",
            code=RefusalCode.NOT_ENDED,
            message="the session is not judged yet; only a verdict can be corrected",
        )
    return None


def _note(db: Session, ctx: Context, session: ScheduledSession, notes: str | None) -> bool:
    """Record notes. They are about people: the event has their length, not their text."""
    before = session.outcome_notes
    if notes is None or notes == before:
        return False
    session.outcome_notes, session.updated_at = notes, ctx.now
    outbox.record_event(
        db,
        ctx,
        EventType.SESSION_OUTCOME_RECORDED,
        session=session,
        before={"notes_length": None if before is None else len(before)},
        after={"notes_length": len(notes)},
    )
    return True


def _correct(db: Session, ctx: Context, session: ScheduledSession, command: RecordOutcome) -> bool:
    """Judge again with the corrected attendance; a side that the command does not name stays as it was."""
    before = _judgement(session)
    requester = Attendance(command.requester_attendance or before["requester_attendance"])
    consultant = Attendance(command.consultant_attendance or before["consultant_attendance"])
    status = rules.verdict(requester, consultant)
    after = {"requester_attendance": requester, "consultant_attendance": consultant}
    if session.status not in VERDICTS or {"status": status, **after} == before:
        return False
    requests.complete(db, ctx, session.consultation_request_id, status)
    session.requester_attendance, session.consultant_attendance = requester, consultant
    session.updated_at = ctx.now
    event = EventType.SESSION_ATTENDANCE_CORRECTED
    if status != session.status:
        sessions.transition(db, ctx, session, status, event, before=before, after=after)
    else:
        outbox.record_event(db, ctx, event, session=session, before=before, after={"status": status, **after})
    if SessionStatus.NO_SHOW_USER in {before["status"], status}:
        record_verdict(db, ctx, session.consultation_request_id, session.consultant_user_id, status)
    return True


def _judgement(session: ScheduledSession) -> dict[str, Any]:
    return {
        "status": session.status,
        "requester_attendance": session.requester_attendance or "unknown",
        "consultant_attendance": session.consultant_attendance or "unknown",
    }


def _unknown_session() -> SessionOutcome[RecordAttendanceCode]:
    return SessionOutcome(
        result="refused", code=RefusalCode.UNKNOWN_SESSION, message="there is no such session"
    )


def _outcome(session: ScheduledSession, *, changed: bool) -> SessionOutcome[RecordAttendanceCode]:
    return SessionOutcome.model_validate(
        {
            "result": "done" if changed else "already_done",
            "session_id": session.id,
            "status": session.status,
            "revision": session.revision,
            "start": session.scheduled_start_time,
            "end": session.scheduled_end_time,
        }
    )


def _agreed(session: ScheduledSession) -> Interval:
    return Interval(session.scheduled_start_time, session.scheduled_end_time)


def _of_request(status: str | None) -> dict[str, Any]:
    return {} if status is None else {"request_status": status}


def _summary(seen: list[EvidenceItem], agreed: Interval) -> dict[str, Any]:
    """Return the evidence behind a verdict: when each side was there, and how many observations there are."""
    presence = {
        party: [[to_iso(one.start), to_iso(one.end)] for one in rules.trace(seen, party, agreed).presence]
        for party in rules.SIDES
    }
    return {"presence": presence, "observations": len(seen)}
