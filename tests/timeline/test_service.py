"""The timeline of one request: the entries of every ledger, in order, with attempts and reasons."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.context import Context
from booking_tasks.contracts import SessionOutcome
from booking_tasks.enums import InboxState, JobState, RefusalCode
from booking_tasks.inbox import service as inbox
from booking_tasks.inbox import store as inbox_store
from booking_tasks.jobs import service as jobs
from booking_tasks.jobs import store as job_store
from booking_tasks.jobs.rules import JobFilter
from booking_tasks.kit.ids import made_at, uuid7
from booking_tasks.models import AttendanceEvidence, ConsultationRequest, InboxMessage, ScheduledSession
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import SendInvite
from booking_tasks.timeline.rules import TimelineEntry, change, in_order
from booking_tasks.timeline.service import Timeline, timeline_of
from tests import builders
from tests.builders import NOW


def timeline(db: Session, id_: UUID) -> Timeline:
    db.flush()
    found = timeline_of(db, id_)
    assert found is not None
    return found


def texts(found: Timeline, source: str) -> list[str]:
    return [entry.text for entry in found.entries if entry.source == source]


def submitted_request(db: Session, ctx: Context, message_id: UUID) -> ConsultationRequest:
    """A request that a message has submitted and that waits for a consultant."""
    inbox.begin_attempt(db, message_id, "submit_request", "booking", {}, 3)
    request = builders.request(db, builders.service_type(db).id, status="pending")
    by_message = replace(ctx, message_id=message_id, actor="shop")
    outbox.record_event(
        db, by_message, EventType.REQUEST_SUBMITTED, request=request, after={"status": "pending"}
    )
    outbox.record_event(
        db, by_message, EventType.REQUEST_POSTPONED, request=request, reason="waited too long"
    )
    inbox_store.finish_message(db, message_id, InboxState.DONE, {"result": "done", "code": None})
    return request


def test_an_unknown_id_has_no_timeline(db: Session) -> None:
    assert timeline_of(db, uuid4()) is None


def test_message_event_decision_and_job_of_a_request_are_in_order(db: Session, ctx: Context) -> None:
    message_id = uuid7()
    request = submitted_request(db, ctx, message_id)
    busy = builders.consultant(db, specializations=["history"])
    assignment.assign(db, ctx, request.id)

    found = timeline(db, request.id)
    order = [(entry.source, entry.text.split()[0]) for entry in found.entries]
    submitted, waiting = (
        order.index(("event", "request.submitted")),
        order.index(("event", "request.waiting")),
    )
    assert order.index(("message", "submit_request")) < submitted < waiting
    assert submitted < order.index(("job", "assign_request")) < waiting
    assert texts(found, "message") == [
        "submit_request came by booking",
        "submit_request answered done, attempts: 1",
    ]
    [decision] = texts(found, "decision")
    assert "nobody; evaluated:" in decision
    assert f"{busy.consultant_user_id} " in decision
    [first, *_] = texts(found, "event")
    assert first.startswith("request.submitted by shop (booking); business time 2027-03-01 09:00Z")
    assert first.endswith("status: pending")
    pending = [entry.text for entry in found.entries if entry.at is None]
    assert [entry.text for entry in found.entries[-len(pending) :]] == pending
    assert any(text.startswith("assign_request waiting") for text in pending)
    assert found.state.startswith("request pending_assignment (")


def test_a_failed_job_shows_its_attempts_its_cause_and_who_decided_what(db: Session, ctx: Context) -> None:
    session = builders.booked_session(db)
    outbox.record_event(db, ctx, EventType.SESSION_MEETING_READY, session=session)
    term = timedelta(seconds=60)
    [first, _], _ = job_store.lease(db, SendInvite, ctx.now, 2, term)
    job_store.begin_sending(db, first, b"a secret mail", term)
    job_store.finish(db, first, JobState.SENDING, JobState.DEAD, "the mail server refused RCPT: 550")
    jobs.replay(db, ctx.on_behalf_of("ann"), JobFilter(job_id=first.id), "the mailbox is open again")

    found = timeline(db, session.consultation_request_id)
    [replayed] = [text for text in texts(found, "event") if text.startswith("job.replayed")]
    assert "by ann" in replayed
    assert "error: the mail server refused RCPT: 550" in replayed
    assert replayed.endswith("reason: the mailbox is open again")
    entries = [entry for entry in found.entries if entry.id == first.id]
    assert [entry.at is None for entry in entries] == [False, True]
    assert "waiting" in entries[1].text
    assert "secret" not in str(found)


def test_the_timeline_of_a_session_is_that_of_its_request_and_has_the_evidence(
    db: Session, ctx: Context
) -> None:
    session = builders.booked_session(db)
    db.add(
        AttendanceEvidence(
            scheduled_session_id=session.id,
            evidence_type="joined",
            party="requester",
            observed_at=NOW,
            source="platform",
            external_id="1",
        )
    )
    found = timeline(db, session.id)
    assert (found.request_id, found.session_id) == (session.consultation_request_id, session.id)
    assert texts(found, "evidence") == ["platform saw requester joined at 09:00:00Z"]
    assert f"session scheduled, 2027-03-03 09:00Z, revision 0, consultant {session.consultant_user_id}" in (
        found.state
    )


@pytest.mark.parametrize("field", ["request_id", "session_id"])
def test_messages_that_failed_or_wait_belong_to_the_timeline_by_their_ids(
    db: Session, ctx: Context, field: str
) -> None:
    session: ScheduledSession = builders.booked_session(db)
    named = {"request_id": session.consultation_request_id, "session_id": session.id}[field]
    waiting = uuid7()
    inbox.begin_attempt(db, waiting, "cancel_session", "booking", {field: str(named)}, 3)
    inbox_store.add_dead_letter(db, "move", "booking", "new_start: missing", {field: str(named)}, None)

    found = timeline(db, session.id)
    assert texts(found, "message") == [
        "cancel_session came by booking",
        "cancel_session has no answer after 1 attempts",
    ]
    assert texts(found, "dead letter") == ["move by booking: new_start: missing"]
    assert db.get_one(InboxMessage, waiting).state == "received"


def test_a_refused_command_belongs_to_the_timeline_and_keeps_only_its_ids(db: Session, ctx: Context) -> None:
    session: ScheduledSession = builders.booked_session(db)
    refused, body = uuid7(), {"session_id": str(session.id), "reason": "secret"}
    inbox.begin_attempt(db, refused, "reschedule_session", "booking", body, 3)
    inbox.store_answer(db, refused, SessionOutcome(result="refused", code=RefusalCode.SLOT_TAKEN))

    assert texts(timeline(db, session.id), "message") == [
        "reschedule_session came by booking",
        "reschedule_session answered refused (slot_taken), attempts: 1",
    ]
    kept = db.get_one(InboxMessage, refused)
    db.refresh(kept)
    assert kept.body == {"session_id": str(session.id)}


@pytest.mark.parametrize("within", [("request",), ("arguments", "request")])
def test_a_message_refused_on_arrival_belongs_to_the_timeline(
    db: Session, ctx: Context, within: tuple[str, ...]
) -> None:
    session: ScheduledSession = builders.booked_session(db)
    payload: dict[str, object] = {"session_id": str(session.id)}
    for name in reversed(within):
        payload = {name: payload}
    inbox_store.add_dead_letter(db, "cancel_session", "admin", "from another queue", payload, None)

    assert texts(timeline(db, session.id), "dead letter") == ["cancel_session by admin: from another queue"]


def test_the_timeline_has_no_entries_of_another_request(db: Session, ctx: Context) -> None:
    mine, other = builders.booked_session(db), builders.booked_session(db)
    outbox.record_event(db, ctx, EventType.SESSION_SCHEDULED, session=other)
    assert timeline(db, mine.id).entries == []


def test_an_id_of_version_7_contains_its_time_and_others_do_not() -> None:
    one, other = uuid7(), uuid7()
    first, second = made_at(one), made_at(other)
    assert first is not None
    assert second is not None
    assert timedelta(0) <= second - first < timedelta(seconds=5)
    assert made_at(uuid4()) is None


def test_entries_that_have_not_happened_yet_come_last() -> None:
    pending = TimelineEntry(None, "job", uuid4(), "later")
    late, early = (
        TimelineEntry(NOW, "event", uuid4(), "b"),
        TimelineEntry(NOW - timedelta(1), "event", uuid4(), "a"),
    )
    assert in_order([pending, late, early]) == [early, late, pending]
    assert str(pending).startswith("still to come")


def test_a_change_shows_the_old_and_the_new_value() -> None:
    assert (
        change({"status": "a", "gone": 1}, {"status": "b", "new": None})
        == "status: a -> b, gone: 1, new: None"
    )


def test_a_link_is_not_shown() -> None:
    assert change({"join": None}, {"join": "https://meet.example/secret"}) == "join: None -> <link>"
