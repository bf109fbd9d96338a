"""What forgetting a person ends, erases and keeps; on one database, in one transaction."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from booking_tasks.catalogue import directory
from booking_tasks.context import Context
from booking_tasks.contracts import (
    ExportUser,
    ForgetUserOutcome,
    HoldSlot,
    UpsertUser,
)
from booking_tasks.forgetting import export
from booking_tasks.holds import service as holds
from booking_tasks.mail.calendar_copy import Sender
from booking_tasks.mail.message import Mailbox
from booking_tasks.mail.render import render_text
from booking_tasks.mail.store import calendar_copy
from booking_tasks.models import (
    AssignmentCredit,
    AvailabilitySlot,
    ConsultationRequest,
    DeadLetter,
    Event,
    ForgottenPerson,
    InboxMessage,
    Job,
    OccupiedTime,
    ParkedMessage,
    ScheduledSession,
)
from tests import builders
from tests.builders import NOW, booked_session
from tests.forgetting.people import CANARY, event, forget, job
from tests.forgetting.search import places_with


def test_nothing_is_known_of_a_stranger(db: Session, ctx: Context) -> None:
    assert forget(db, ctx, uuid4()) == ForgetUserOutcome(result="already_done")


def test_a_session_ahead_is_cancelled_and_the_other_side_is_notified(db: Session, ctx: Context) -> None:
    session = booked_session(db)
    requester, consultant = session.requester_user_id, session.consultant_user_id
    job(db, "send_invite", session.id, consultant, "done", send_attempts=1)
    job(db, "send_invite", session.id, requester, "done", send_attempts=1)
    session_id = session.id
    outcome = forget(db, ctx, requester)
    assert outcome == ForgetUserOutcome(result="done", cancelled_sessions=1, withdrawn_requests=0)
    row = db.get_one(ScheduledSession, session_id)
    assert row.status == "cancelled_by_user"
    assert db.get_one(ConsultationRequest, row.consultation_request_id).status == "cancelled"
    assert db.scalars(select(AvailabilitySlot)).all() == []
    mails = {
        one.args["recipient"]: one.state
        for one in db.scalars(select(Job))
        if one.job_type == "send_cancellation"
    }
    assert mails == {str(consultant): "waiting", str(row.requester_user_id): "skipped"}
    sender = Sender(Mailbox("Desk", "desk@example.org"), "booking.example.org")
    copy = calendar_copy(db, sender, row, consultant, ctx.policies)
    assert copy.counterpart == render_text("forgotten_name", "en")
    assert copy.details is None


def test_the_past_gets_one_random_id_and_keeps_its_shape(db: Session, ctx: Context) -> None:
    session = booked_session(
        db,
        NOW - timedelta(days=9),
        status="completed",
        outcome_notes=CANARY,
        meeting_platform_join_url=CANARY,
    )
    requester, session_id, consultant = session.requester_user_id, session.id, session.consultant_user_id
    second = booked_session(db, NOW - timedelta(days=3), status="completed")
    builders.change_session(db, second, requester_user_id=requester)
    request = db.get_one(ConsultationRequest, second.consultation_request_id)
    request.requester_user_id, request.request_details = requester, CANARY
    request.required_specializations = [CANARY]
    recorded = event(
        db,
        consultation_request_id=session.consultation_request_id,
        scheduled_session_id=session_id,
        consultant_user_id=consultant,
        actor=str(requester).upper(),
        reason=CANARY,
        before={"requester_user_id": str(requester)},
        after={"hold_token": CANARY, "meeting_platform_join_url": CANARY, "status": "completed"},
    ).id
    db.add(
        AssignmentCredit(
            consultation_service_type_id=session.consultation_service_type_id,
            consultant_user_id=consultant,
            credit_type="assignment",
            amount=Decimal(1),
            credited_at=NOW,
            consultation_request_id=session.consultation_request_id,
        )
    )
    db.flush()
    assert forget(db, ctx, requester).result == "done"
    rows = db.scalars(select(ScheduledSession)).all()
    [person] = {row.requester_user_id for row in rows}
    assert person != requester
    assert {row.status for row in rows} == {"completed"}
    assert {row.person_id for row in db.scalars(select(OccupiedTime)) if row.role == "requester"} == {person}
    assert [row.person_id for row in db.scalars(select(ForgottenPerson))] == [person]
    changed = db.get_one(Event, recorded)
    assert (changed.actor, changed.reason) == (str(person), None)
    assert (changed.before, changed.after) == ({"requester_user_id": str(person)}, {"status": "completed"})
    assert changed.consultant_user_id == consultant
    assert db.scalar(select(AssignmentCredit.amount)) == 1
    assert places_with(db, [CANARY, str(requester)]) == []


def test_what_was_not_answered_is_withdrawn(db: Session, ctx: Context) -> None:
    service_type, requester = builders.service_type(db), builders.user(db)
    teacher = builders.consultant(db)
    builders.window(db, teacher.consultant_user_id, NOW + timedelta(days=1))
    waiting = builders.request(
        db,
        service_type.id,
        requester_user_id=requester.user_id,
        status="pending_assignment",
        request_details=CANARY,
    ).id
    held = holds.hold_slot(
        db,
        ctx,
        HoldSlot(
            message_id=uuid4(),
            actor=str(requester.user_id),
            request_id=uuid4(),
            requester_user_id=requester.user_id,
            service_type_id=service_type.id,
            consultant_user_id=teacher.consultant_user_id,
            start=NOW + timedelta(days=1),
            minutes=10,
        ),
    )
    assert held.result == "done"
    outcome = forget(db, ctx, requester.user_id)
    assert outcome == ForgetUserOutcome(result="done", cancelled_sessions=0, withdrawn_requests=2)
    assert {row.status for row in db.scalars(select(ConsultationRequest))} == {"cancelled"}
    assert db.get_one(ConsultationRequest, waiting).request_details is None
    assert {row.status for row in db.scalars(select(AvailabilitySlot))} == {"available"}


def test_repeating_it_is_harmless_and_the_same_id_is_a_new_person_later(db: Session, ctx: Context) -> None:
    session = booked_session(db)
    requester, old_request = session.requester_user_id, session.consultation_request_id
    assert forget(db, ctx, requester).result == "done"
    assert forget(db, ctx, requester) == ForgetUserOutcome(result="already_done")
    again = UpsertUser(
        message_id=uuid4(),
        actor="directory",
        user_id=requester,
        name="Mira Lang",
        email="mira@example.org",
        time_zone="UTC",
    )
    assert directory.upsert_user(db, ctx, again).result == "done"
    request = builders.request(db, session.consultation_service_type_id, requester_user_id=requester)
    assert db.get_one(ConsultationRequest, old_request).requester_user_id != requester
    exported = export.export_user(db, ctx, ExportUser(user_id=requester))
    assert [row["id"] for row in exported.tables["consultation_requests"]] == [request.id]
    assert "scheduled_sessions" not in exported.tables
    second = forget(db, ctx, requester)
    assert second.withdrawn_requests == 1
    assert len(db.scalars(select(ForgottenPerson)).all()) == 2


def test_mails_about_a_person_are_not_sent_with_what_was_composed_before(db: Session, ctx: Context) -> None:
    session = booked_session(db)
    requester, consultant = session.requester_user_id, session.consultant_user_id
    mail = CANARY.encode()
    to_them = {
        state: job(
            db,
            "send_reminder",
            session.id,
            requester,
            state,
            key=f"r{state}:{requester}",
            payload=mail,
            last_error=CANARY,
        ).id
        for state in ("waiting", "leased", "sending", "uncertain", "dead")
    }
    to_other = {
        state: job(
            db, "send_invite", session.id, consultant, state, key=f"i{state}", payload=mail, last_error=CANARY
        ).id
        for state in ("waiting", "leased", "sending", "uncertain", "dead", "done")
    }
    forget(db, ctx, requester)
    assert {db.get_one(Job, one).state for one in to_them.values()} == {"skipped"}
    others = {state: db.get_one(Job, one).state for state, one in to_other.items()}
    assert others == {state: "waiting" if state == "leased" else state for state in to_other}
    assert places_with(db, [CANARY, str(requester)]) == []


def test_messages_about_a_person_are_erased_or_refused(db: Session, ctx: Context) -> None:
    session = booked_session(db, NOW - timedelta(days=9), status="completed")
    who, request_id = session.requester_user_id, str(session.consultation_request_id)
    about = {"request_id": request_id, "reason": CANARY}
    ids = [uuid4() for _ in range(4)]
    done: dict[str, Any] = {"state": "done", "finished_at": NOW}
    contents: list[dict[str, Any]] = [
        {"outcome": {"result": "done", **about}, **done},
        {"body": {"user": str(who), "name": CANARY}, "state": "received"},
        {"body": about, "outcome": {"result": "refused"}, "state": "dead", "finished_at": NOW},
        {"outcome": {"result": "done", "user_id": str(uuid4())}, **done},
    ]
    for one, values in zip(ids, contents, strict=True):
        db.add(InboxMessage(message_id=one, task="t", body_hash="h", entry_point="booking", **values))
    db.add(DeadLetter(task="t", entry_point="admin", reason="r", payload={"user_id": str(who)}))
    db.add(DeadLetter(task="t", entry_point="admin", reason="other", payload={"user_id": str(uuid4())}))
    for text_ in (str(who).upper(), request_id, "somebody"):
        db.add(
            ParkedMessage(
                task="t", queue="booking", body_hash=text_, arguments={"request": {"x": text_, "y": CANARY}}
            )
        )
    db.flush()
    forget(db, ctx, who)
    rows = {row.message_id: row for row in db.scalars(select(InboxMessage))}
    assert rows[ids[0]].outcome == {"result": "done"}
    assert (rows[ids[1]].state, rows[ids[1]].body) == ("dead", None)
    outcome = rows[ids[1]].outcome
    assert outcome is not None
    assert outcome["code"] == "dead"
    assert rows[ids[2]].body is None
    assert json.dumps(rows[ids[3]].outcome).count("user_id") == 1
    assert [row.reason for row in db.scalars(select(DeadLetter))] == ["other"]
    assert [row.body_hash for row in db.scalars(select(ParkedMessage))] == ["somebody"]


def test_only_the_function_may_change_the_history_and_only_the_service_may_call_it(db: Session) -> None:
    may = text(
        "SELECT has_table_privilege(:role, 'events', 'UPDATE'),"
        " has_function_privilege(:role, 'forget_in_events_v1(uuid, uuid, text[], uuid[])', 'EXECUTE')"
    )
    found = {role: tuple(db.execute(may, {"role": role}).one()) for role in ("booking_app", "booking_reader")}
    assert found == {"booking_app": (False, True), "booking_reader": (False, False)}
