"""From a request to a consultation that happened, and every way in which an agreed one ends."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest

from booking_tasks.contracts import CancelSession, RecordBilling, RecordOutcome, RescheduleSession
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ScheduledSession
from tests.end_to_end.scenario import DAY, HOUR, MINUTE, SERVICE, Call, Person, Scenario, summary

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def agreed(scenario: Scenario, *, days: int = 2) -> tuple[UUID, Person, Person, UUID]:
    """A service, a consultant, a requester, and their agreed session at 10:00; the request's id last."""
    service = scenario.offer()
    consultant, requester = scenario.consultant("Weber"), scenario.person("Mira")
    request_id = scenario.submit(requester, service, scenario.morning + days * DAY + 2 * HOUR)
    return service, consultant, requester, request_id


def room_revisions(calls: list[Call]) -> list[tuple[int | None, datetime | None]]:
    """The revisions and starts that a room was given, without repeats of the daily comparison."""
    return list(dict.fromkeys((call.revision, call.starts_at) for call in calls))


def test_a_request_becomes_a_consultation_that_happened(scenario: Scenario) -> None:
    service = scenario.offer(buffer_after_minutes=10)
    weber = scenario.consultant("Weber", "Europe/Berlin", "de")
    mira = scenario.person("Mira", "Asia/Tokyo")
    start, company = scenario.morning + 2 * DAY + 2 * HOUR, uuid7()
    assert scenario.free(service, start, weber)

    request_id = scenario.submit(
        mira, service, start, company_id=company, preferred_consultant_user_id=weber.id, details="Jordan form"
    )

    # agreed, linked, and both sides invited
    session = scenario.session(request_id)
    assert (session.status, session.revision, session.scheduled_start_time) == ("scheduled", 0, start)
    assert (session.requester_user_id, session.consultant_user_id) == (mira.id, weber.id)
    assert scenario.request(request_id).company_id == company
    assert scenario.request(request_id).scheduled_session_id == session.id
    assert scenario.facts(weber) == [("booked", start)]
    assert not scenario.free(service, start, weber)
    assert scenario.search(service, start).empty_reason == "all_taken"
    (decision,) = scenario.decisions(request_id)
    assert (decision.reason, decision.consultant_user_id) == ("chosen", weber.id)
    room = scenario.room(session.id)
    assert room is not None
    assert session.meeting_platform_join_url == room["join_url"]
    puts = scenario.calls(session.id, "PUT")
    assert puts[0].status == 201
    assert room_revisions(puts) == [(0, start)]
    invites = scenario.letters(mira, weber)
    assert {one.to for one in invites} == {mira.email, weber.email}
    assert [(one.method, one.uid, one.sequence, one.start) for one in invites] == [
        ("REQUEST", f"{session.id}@booking.example.org", 0, start)
    ] * 2
    assert all(room["join_url"] in one.text for one in invites)
    assert {one.to for one in invites if "Jordan form" in one.text} == {weber.email}
    assert {one.to for one in invites if "Asia/Tokyo" in one.text} == {mira.email}

    # reminded a day and an hour before
    scenario.stage.advance(start - MINUTE)
    reminders = scenario.letters(mira, weber)[2:]
    assert [one.method for one in reminders] == [None] * 4
    assert sorted(one.to for one in reminders) == sorted([mira.email, weber.email] * 2)
    assert [job.due_at for job in scenario.jobs(session.id, "send_reminder")] == [
        start - DAY,
        start - DAY,
        start - HOUR,
        start - HOUR,
    ]

    # held, watched by the platform, judged
    scenario.stage.platform.presence(
        session.id,
        [
            {
                "id": f"{evidence_type}-{who.id}",
                "evidence_type": evidence_type,
                "observed_at": at.isoformat(),
                "user_id": str(who.id),
            }
            for who in (mira, weber)
            for evidence_type, at in (("joined", start), ("left", start + HOUR))
        ],
        complete=True,
    )
    scenario.stage.advance(start)
    assert scenario.session(request_id).status == "in_progress"
    scenario.stage.advance(start + HOUR + 15 * MINUTE)
    session = scenario.session(request_id)
    assert session.status == "completed"
    assert (session.requester_attendance, session.consultant_attendance) == ("attended", "attended")
    assert scenario.request(request_id).status == "completed"
    assert scenario.room(session.id) is None

    # noted and billed
    noted = scenario.send(RecordOutcome, actor="notes", session_id=session.id, notes="understood")
    billed = scenario.send(
        RecordBilling,
        actor="billing",
        session_id=session.id,
        currency="EUR",
        billed_amount=Decimal("45.50"),
    )
    scenario.stage.settle()
    assert (noted.result, billed.result) == ("done", "done")
    session = scenario.session(request_id)
    assert (session.outcome_notes, session.billed_amount) == ("understood", Decimal("45.50"))

    history = scenario.history(request_id)
    assert summary(history) == [
        ("request.submitted", str(mira.id), None),
        ("session.scheduled", SERVICE, None),
        ("session.meeting_ready", SERVICE, None),
        ("session.started", SERVICE, None),
        ("session.completed", SERVICE, None),
        ("session.outcome_recorded", "notes", None),
        ("session.billed", "billing", None),
    ]
    assert [event.entry_point for event in history] == [
        "booking",
        "booking",
        "sweep",
        "sweep",
        "sweep",
        "evidence",
        "evidence",
    ]
    end = start + HOUR + 15 * MINUTE
    assert [event.occurred_at for event in history] == [*[scenario.morning] * 3, start, *[end] * 3]
    span = {"start": start.isoformat(), "end": (start + HOUR).isoformat()}
    scheduled = {"status": "scheduled", "revision": 0} | span
    assert history[0].after == {"status": "pending"}
    assert history[1].before == {"request_status": "pending"}
    assert history[1].after == {"request_status": "scheduled"} | scheduled
    assert history[3].before == scheduled
    assert history[3].after == scheduled | {"status": "in_progress"}
    assert history[4].before == {"status": "in_progress", "request_status": "scheduled"}
    assert history[4].after["status"] == "completed"
    assert history[6].after == {"billed_amount": "45.50", "billed_currency": "EUR"}
    assert len(scenario.letters(mira, weber)) == 6
    scenario.assert_notified_once(request_id, (mira, weber))


@pytest.mark.parametrize(
    ("side", "status"), [("user", "cancelled_by_user"), ("consultant", "cancelled_by_consultant")]
)
def test_a_cancelled_session_leaves_both_calendars_and_its_time_is_free_again(
    scenario: Scenario, side: str, status: str
) -> None:
    service, weber, mira, request_id = agreed(scenario)
    session, actor = scenario.session(request_id), str(mira.id if side == "user" else weber.id)
    start = session.scheduled_start_time
    scenario.stage.advance(scenario.morning + 4 * HOUR)
    assert not scenario.free(service, start, weber)

    outcome = scenario.send(
        CancelSession, actor=actor, session_id=session.id, cancelled_by=side, reason="a cold"
    )
    scenario.stage.settle()

    assert (outcome.result, outcome.status, outcome.revision) == ("done", status, 1)
    session = scenario.session(request_id)
    assert (session.status, session.status_reason) == (status, "a cold")
    assert scenario.request(request_id).status == "cancelled"
    assert scenario.facts(weber) == []
    assert scenario.free(service, start, weber)
    assert scenario.room(session.id) is None
    cancellations = scenario.letters(mira, weber)[2:]
    assert {one.to for one in cancellations} == {mira.email, weber.email}
    assert [(one.method, one.uid, one.sequence) for one in cancellations] == [
        ("CANCEL", f"{session.id}@booking.example.org", 1)
    ] * 2

    scenario.stage.advance(start + HOUR)  # past both reminders and the start: nothing more is sent
    assert len(scenario.letters(mira, weber)) == 4
    assert scenario.job_states(session.id, "send_reminder") == {(0, "skipped"): 4}
    assert scenario.session(request_id).status == status
    history = scenario.history(request_id)
    assert summary(history)[3:] == [("session.cancelled", actor, "a cold")]
    assert history[3].occurred_at == scenario.morning + 4 * HOUR
    assert (history[3].before["status"], history[3].after["status"]) == ("scheduled", status)
    scenario.assert_notified_once(request_id, (mira, weber))


def test_a_moved_session_is_the_same_event_at_another_time(scenario: Scenario) -> None:
    service, weber, mira, request_id = agreed(scenario)
    session = scenario.session(request_id)
    old, new = session.scheduled_start_time, session.scheduled_start_time + 30 * MINUTE

    outcome = scenario.send(
        RescheduleSession, actor=str(mira.id), session_id=session.id, new_start=new, reason="a train"
    )
    scenario.stage.settle()

    assert (outcome.result, outcome.revision, outcome.start) == ("done", 1, new)
    moved = scenario.session(request_id)
    assert (moved.id, moved.scheduled_start_time, moved.status) == (session.id, new, "scheduled")
    assert moved.meeting_platform_join_url == session.meeting_platform_join_url
    assert scenario.facts(weber) == [("booked", new)]
    assert scenario.free(service, old - 30 * MINUTE, weber)
    assert room_revisions(scenario.calls(session.id, "PUT")) == [(0, old), (1, new)]
    room = scenario.room(session.id)
    assert room is not None
    assert datetime.fromisoformat(room["starts_at"]) == new
    updates = scenario.letters(mira, weber)[2:]
    assert {one.to for one in updates} == {mira.email, weber.email}
    assert [(one.method, one.uid, one.sequence, one.start) for one in updates] == [
        ("REQUEST", f"{session.id}@booking.example.org", 1, new)
    ] * 2

    scenario.stage.advance(new - MINUTE)
    assert scenario.job_states(session.id, "send_reminder") == {(0, "skipped"): 4, (1, "done"): 4}
    assert len(scenario.letters(mira, weber)) == 8
    history = scenario.history(request_id)
    assert summary(history)[2:] == [
        ("session.meeting_ready", SERVICE, None),
        ("session.rescheduled", str(mira.id), "a train"),
        ("session.meeting_ready", SERVICE, None),
    ]
    assert (history[3].before["start"], history[3].after["start"]) == (old.isoformat(), new.isoformat())
    assert (history[3].before["revision"], history[3].after["revision"]) == (0, 1)


def held(scenario: Scenario, request_id: UUID, *present: str) -> ScheduledSession:
    """Let an agreed session pass in a watched room with these sides in it; the session as judged."""
    session = scenario.session(request_id)
    start, end = session.scheduled_start_time, session.scheduled_end_time
    scenario.stage.advance(start)
    scenario.observe(
        session,
        ("room_opened", None, start),
        *(("joined", side, start) for side in present),  # type: ignore[arg-type]
    )
    scenario.stage.advance(end)
    scenario.observe(
        session,
        *(("left", side, end) for side in present),  # type: ignore[arg-type]
        ("room_closed", None, end),
    )
    scenario.stage.advance(end + 15 * MINUTE)
    return scenario.session(request_id)


@pytest.mark.parametrize(
    ("present", "missing", "status"),
    [("consultant", "requester", "no_show_user"), ("requester", "consultant", "no_show_consultant")],
)
def test_who_does_not_come_to_a_watched_room_is_absent(
    scenario: Scenario, present: str, missing: str, status: str
) -> None:
    _, weber, mira, request_id = agreed(scenario, days=1)

    session = held(scenario, request_id, present)

    assert session.status == status
    attendance = {"requester": session.requester_attendance, "consultant": session.consultant_attendance}
    assert attendance == {present: "attended", missing: "absent"}
    assert scenario.request(request_id).status == "completed"
    assert scenario.room(session.id) is None
    history = scenario.history(request_id)
    assert summary(history)[3:] == [
        ("session.started", SERVICE, None),
        ("session.side_missing", SERVICE, None),
        ("session.no_show", SERVICE, None),
    ]
    assert history[4].after == {"missing": [missing]}
    assert history[4].occurred_at == session.scheduled_start_time + 10 * MINUTE
    assert history[5].after["status"] == status
    scenario.assert_notified_once(request_id, (mira, weber))


def test_without_evidence_nobody_is_accused_and_a_corrected_verdict_is_published(scenario: Scenario) -> None:
    _, weber, mira, request_id = agreed(scenario, days=1)
    session = scenario.session(request_id)
    scenario.stage.advance(session.scheduled_end_time + 15 * MINUTE)
    session = scenario.session(request_id)
    assert session.status == "attendance_unknown"
    assert (session.requester_attendance, session.consultant_attendance) == ("unknown", "unknown")
    before = [event["type"] for event in scenario.published(request_id)]
    assert before[-1] == "booking.session.attendance_unknown.v1"

    early = scenario.send(
        RecordOutcome, actor=str(weber.id), session_id=session.id, requester_attendance="absent"
    )
    assert (early.result, early.status) == ("done", "attendance_unknown")
    outcome = scenario.send(
        RecordOutcome,
        actor=str(weber.id),
        session_id=session.id,
        requester_attendance="attended",
        consultant_attendance="attended",
    )
    scenario.stage.settle()

    assert (outcome.result, outcome.status) == ("done", "completed")
    assert scenario.session(request_id).status == "completed"
    history = scenario.history(request_id)
    assert summary(history)[4:] == [
        ("session.attendance_unknown", SERVICE, None),
        ("session.attendance_corrected", str(weber.id), None),
        ("session.attendance_corrected", str(weber.id), None),
    ]
    assert (history[6].before["status"], history[6].after["status"]) == ("attendance_unknown", "completed")
    after = scenario.published(request_id)[len(before) :]
    assert [event["type"] for event in after] == ["booking.session.attendance_corrected.v1"] * 2
    assert after[1]["data"]["before"]["requester_attendance"] == "absent"
    assert after[1]["data"]["after"]["requester_attendance"] == "attended"
    scenario.assert_notified_once(request_id, (mira, weber))


def test_a_platform_that_stays_away_delays_the_link_and_not_the_invitation(scenario: Scenario) -> None:
    scenario.stage.platform.control(fail_next=6, fail_method="PUT", status=503)
    _, weber, mira, request_id = agreed(scenario)  # it returns when everything that is due is done

    session = scenario.session(request_id)
    (job,) = scenario.jobs(session.id, "provision_meeting")
    assert job.state == "done"
    puts = scenario.calls(session.id, "PUT")
    assert [(call.status, call.key) for call in puts] == [(503, job.key)] * 6 + [(201, job.key)]
    room = scenario.room(session.id)
    assert room is not None
    assert (session.meeting_platform_join_url, session.revision) == (room["join_url"], 1)

    mails = scenario.letters(mira, weber)
    invites, updates = mails[:2], mails[2:]
    assert {one.to for one in invites} == {one.to for one in updates} == {mira.email, weber.email}
    assert [(one.method, one.sequence) for one in invites] == [("REQUEST", 0)] * 2
    assert all("The link to join follows." in one.text for one in invites)
    assert [(one.method, one.uid, one.sequence) for one in updates] == [("REQUEST", invites[0].uid, 1)] * 2
    assert all(room["join_url"] in one.text for one in updates)
    assert summary(scenario.history(request_id))[1:] == [
        ("session.scheduled", SERVICE, None),
        ("session.meeting_failed", SERVICE, "the meeting platform answered 503: try later"),
        ("session.link_changed", SERVICE, None),
        ("session.meeting_ready", SERVICE, None),
    ]
    scenario.stage.advance(session.scheduled_start_time - 2 * HOUR)
    assert scenario.job_states(session.id, "send_reminder") == {
        (0, "skipped"): 2,
        (0, "waiting"): 2,
        (1, "done"): 2,
        (1, "waiting"): 2,
    }
