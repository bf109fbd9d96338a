"""The smallest scenario for every refusal code of the other commands and of the queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

from sqlalchemy import select, update

from booking_tasks.absence import plans
from booking_tasks.assignment import service as assignment
from booking_tasks.calendars import service as calendars
from booking_tasks.contracts import (
    AddLeave,
    AnswerProposal,
    ApplyAbsencePlan,
    CancelSession,
    ExplainAssignment,
    ForgetUser,
    Outcome,
    PlanAbsence,
    PreviewAvailability,
    Query,
    ReceiveReply,
    RecordAttendance,
    RecordBilling,
    RecordOutcome,
    RemoveLeave,
    SearchSlots,
    SetAvailability,
    SetCalendarFeed,
    SetConsultantPolicy,
    SetSpecializationAliases,
    UndoAbsencePlan,
    UpsertConsultant,
    UpsertServiceType,
    UpsertUser,
)
from booking_tasks.enums import RefusalCode as Code
from booking_tasks.models import AbsencePlanStep, AvailabilitySlot, ConsultationRequest, ScheduledSession
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from tests.builders import NOW, take_steps
from tests.refusals.world import HOUR, START, World, withdrawn
from tests.replies.mails import calendar
from tests.replies.test_service import Mailbox

Scenario = Callable[[World], Outcome]
DAY = timedelta(days=1)


# -- absence -----------------------------------------------------------------------------------------------


def _plan(world: World, who: UUID | None = None, **values: Any) -> UUID:
    """A draft for the consultant of a session tomorrow; a colleague has time the day after."""
    if who is None:
        who = world.session().consultant_user_id
        world.db.execute(
            update(AvailabilitySlot)
            .where(AvailabilitySlot.consultant_user_id == world.who)
            .values(start_time=START + DAY, end_time=START + DAY + 4 * HOUR)
        )
    plan_id = uuid4()
    outcome = world.run(PlanAbsence, plan_id=plan_id, consultant_user_id=who, **values)
    assert outcome.result == "done", outcome
    return plan_id


def _plan_again_for_another(world: World) -> Outcome:
    return world.run(PlanAbsence, plan_id=_plan(world), consultant_user_id=world.who)


def _too_many_sessions(world: World) -> Outcome:
    who = world.session().consultant_user_id
    with patch.object(plans, "MOST_SESSIONS", 0):
        return world.run(PlanAbsence, plan_id=uuid4(), consultant_user_id=who)


def _plan_outdated(world: World) -> Outcome:
    session = world.session()
    plan_id = _plan(world, session.consultant_user_id)
    world.run(CancelSession, session_id=session.id, cancelled_by="user")
    return world.run(ApplyAbsencePlan, plan_id=plan_id)


def _apply_undone(world: World) -> Outcome:
    plan_id = _plan(world)
    for contract in (ApplyAbsencePlan, UndoAbsencePlan):
        assert world.run(contract, plan_id=plan_id).result == "done"
    return world.run(ApplyAbsencePlan, plan_id=plan_id)


def _announced(world: World) -> UUID:
    """A plan that is announced as soon as it is applied."""
    policies = replace(world.ctx.policies, absence_grace=timedelta(0))
    world.ctx = replace(world.ctx, policies=policies)
    plan_id = _plan(world)
    assert world.run(ApplyAbsencePlan, plan_id=plan_id).result == "done"
    return plan_id


def _proposal(world: World) -> UUID:
    step = world.db.scalars(select(AbsencePlanStep)).one()
    assert step.action == "propose"
    return step.id


def _answer_draft(world: World) -> Outcome:
    _plan(world)
    return world.run(AnswerProposal, proposal_id=_proposal(world), accepted=True)


def _answer_too_late(world: World) -> Outcome:
    _announced(world)
    held = update(AvailabilitySlot).where(AvailabilitySlot.status == "held").values(held_until=NOW)
    world.db.execute(held)
    return world.run(AnswerProposal, proposal_id=_proposal(world), accepted=True)


# -- evidence, hours, catalogue, calendars -----------------------------------------------------------------

_SEEN = {"evidence_type": "room_opened", "observed_at": START, "external_id": "1"}
_OVERLAPPING = [
    {"weekday": 1, "start": "09:00", "end": "11:00"},
    {"weekday": 1, "start": "10:00", "end": "12:00"},
]
_NEVER = [
    {
        "start": "2027-03-01T09:00",
        "end": "2027-03-01T10:00",
        "rrule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    }
]
_LEAVE = {"start": "2027-03-05T00:00", "end": "2027-03-06T00:00"}


def _outcome_of_cancelled(world: World) -> Outcome:
    session = world.session()
    world.run(CancelSession, session_id=session.id, cancelled_by="user")
    return world.run(RecordOutcome, session_id=session.id, notes="none")


_BILL = {"currency": "EUR", "billed_amount": "1.00"}


def _bill_of_cancelled(world: World) -> Outcome:
    session = world.session()
    world.run(CancelSession, session_id=session.id, cancelled_by="user")
    return world.run(RecordBilling, session_id=session.id, **_BILL)


def _bill_of_unknown(world: World) -> Outcome:
    session = world.session()
    take_steps(world.db, session, "attendance_unknown")
    return world.run(RecordBilling, session_id=session.id, **_BILL)


def _leave_exists(world: World) -> Outcome:
    leave_id = uuid4()
    world.run(AddLeave, leave_id=leave_id, **_LEAVE)
    return world.run(AddLeave, leave_id=leave_id, **_LEAVE | {"end": "2027-03-07T00:00"})


def _name_taken(world: World) -> Outcome:
    return world.run(
        UpsertServiceType, service_type_id=uuid4(), name=world.service.name, default_duration_minutes=60
    )


def _feed(**values: Any) -> Scenario:
    feed = {"feed_id": uuid4(), "feed_type": "ics", "url": "https://calendar.example.org/secret"}
    return lambda world: world.run(SetCalendarFeed, **feed | values)


def _feed_of_another(world: World) -> Outcome:
    feed = uuid4()
    assert _feed(feed_id=feed)(world).result == "done"
    return _feed(feed_id=feed, consultant_user_id=world.other_consultant())(world)


def _too_many_feeds(world: World) -> Outcome:
    with patch.object(calendars, "MOST_FEEDS", 0):
        return _feed()(world)


# -- replies -----------------------------------------------------------------------------------------------


def _reply(act: Callable[[Mailbox], Outcome]) -> Scenario:
    return lambda world: act(Mailbox(world.db, world.ctx))


def _reply_after(act: Callable[[Mailbox], Any], answer: str = "ACCEPTED", sequence: int = 0) -> Scenario:
    """A reply to the confirmation request, after something else happened."""

    def scenario(box: Mailbox) -> Outcome:
        act(box)
        return box.reply(calendar(box.question, answer, sequence=sequence))

    return _reply(scenario)


def _ask_another(box: Mailbox) -> None:
    box.decline(box.pending_request, box.who)
    assignment.assign(box.db, box.ctx, box.pending_request.id)
    assert box.pending_request.status == "pending_confirmation"


def _ask_again(box: Mailbox) -> None:
    """The same consultant is asked a second time; no code of ours does that."""
    outbox.record_event(
        box.db, box.ctx, EventType.REQUEST_CONFIRMATION_REQUESTED, request=box.pending_request
    )


def _lose_request(box: Mailbox) -> None:
    """The event is there and its request is not."""
    gone = ConsultationRequest(
        id=uuid4(), requester_user_id=box.mira, assigned_consultant_user_id=box.who, status="pending"
    )
    event = EventType.REQUEST_CONFIRMATION_REQUESTED
    box.question = outbox.record_event(box.db, box.ctx, event, request=gone)


def _reply_to_ended(box: Mailbox) -> Outcome:
    box.confirm(box.pending_request, box.who)
    session = box.db.get_one(ScheduledSession, box.pending_request.scheduled_session_id)
    for status in ("in_progress", "completed"):
        session.status = status
        box.db.flush()
    return box.reply(calendar(session.id, "DECLINED", sequence=1))


def _forget_with_session(w: World) -> Outcome:
    return w.run(ForgetUser, user_id=w.session().consultant_user_id)


SCENARIOS: dict[type[Query[Any]], dict[str, Scenario]] = {
    PlanAbsence: {
        Code.UNKNOWN_CONSULTANT: lambda w: w.run(PlanAbsence, plan_id=uuid4(), consultant_user_id=uuid4()),
        Code.UNKNOWN_LEAVE: lambda w: w.run(PlanAbsence, plan_id=uuid4(), leave_id=uuid4()),
        Code.PLAN_EXISTS: _plan_again_for_another,
        Code.UNKNOWN_SESSION: lambda w: w.run(PlanAbsence, plan_id=uuid4(), except_session_ids=[uuid4()]),
        Code.TOO_MANY_SESSIONS: _too_many_sessions,
    },
    ApplyAbsencePlan: {
        Code.UNKNOWN_PLAN: lambda w: w.run(ApplyAbsencePlan, plan_id=uuid4()),
        Code.PLAN_OUTDATED: _plan_outdated,
        Code.ALREADY_UNDONE: _apply_undone,
    },
    UndoAbsencePlan: {
        Code.UNKNOWN_PLAN: lambda w: w.run(UndoAbsencePlan, plan_id=uuid4()),
        Code.NOT_APPLIED: lambda w: w.run(UndoAbsencePlan, plan_id=_plan(w)),
        Code.ALREADY_ANNOUNCED: lambda w: w.run(UndoAbsencePlan, plan_id=_announced(w)),
    },
    AnswerProposal: {
        Code.UNKNOWN_PROPOSAL: lambda w: w.run(AnswerProposal, proposal_id=uuid4(), accepted=True),
        Code.NOT_OFFERED: _answer_draft,
        Code.HOLD_EXPIRED: _answer_too_late,
    },
    RecordAttendance: {
        Code.UNKNOWN_SESSION: lambda w: w.run(RecordAttendance, source="room", observations=[_SEEN]),
    },
    RecordOutcome: {
        Code.UNKNOWN_SESSION: lambda w: w.run(RecordOutcome, notes="none"),
        Code.NOT_ENDED: lambda w: w.run(RecordOutcome, session_id=w.session().id, notes="none"),
        Code.CANCELLED: _outcome_of_cancelled,
    },
    RecordBilling: {
        Code.UNKNOWN_SESSION: lambda w: w.run(RecordBilling, **_BILL),
        Code.NOT_STARTED: lambda w: w.run(RecordBilling, session_id=w.session().id, **_BILL),
        Code.CANCELLED: _bill_of_cancelled,
        Code.ATTENDANCE_UNKNOWN: _bill_of_unknown,
    },
    SetAvailability: {
        Code.UNKNOWN_CONSULTANT: lambda w: w.run(SetAvailability, consultant_user_id=uuid4()),
        Code.OVERLAPPING_HOURS: lambda w: w.run(SetAvailability, weekly=_OVERLAPPING),
        Code.NEVER_HAPPENS: lambda w: w.run(SetAvailability, recurring=_NEVER),
    },
    AddLeave: {
        Code.UNKNOWN_CONSULTANT: lambda w: w.run(
            AddLeave, leave_id=uuid4(), consultant_user_id=uuid4(), **_LEAVE
        ),
        Code.LEAVE_EXISTS: _leave_exists,
    },
    RemoveLeave: {
        Code.UNKNOWN_CONSULTANT: lambda w: w.run(RemoveLeave, leave_id=uuid4(), consultant_user_id=uuid4()),
        Code.UNKNOWN_LEAVE: lambda w: w.run(RemoveLeave, leave_id=uuid4()),
    },
    PreviewAvailability: {
        Code.UNKNOWN_CONSULTANT: lambda w: w.run(PreviewAvailability, consultant_user_id=uuid4()),
        Code.UNKNOWN_SERVICE_TYPE: lambda w: w.run(PreviewAvailability, service_type_id=uuid4()),
        Code.UNKNOWN_HOLIDAY_REGION: lambda w: w.run(PreviewAvailability, holiday_region="ZZ"),
        Code.UNKNOWN_LEAVE: lambda w: w.run(PreviewAvailability, removed_leave_ids=[uuid4()]),
        Code.OVERLAPPING_HOURS: lambda w: w.run(PreviewAvailability, hours={"weekly": _OVERLAPPING}),
        Code.NEVER_HAPPENS: lambda w: w.run(PreviewAvailability, hours={"recurring": _NEVER}),
    },
    UpsertUser: {
        Code.ADDRESS_OF_SERVICE: lambda w: w.run(
            UpsertUser,
            user_id=uuid4(),
            name="Mira Lang",
            email=w.ctx.policies.mail_address,
            time_zone="Europe/Vienna",
        ),
    },
    UpsertServiceType: {
        Code.NAME_TAKEN: _name_taken,
        Code.CONTRADICTORY_WEIGHTS: lambda w: w.run(
            UpsertServiceType,
            name="Geometry",
            default_duration_minutes=60,
            assignment_weights=dict.fromkeys(w.ctx.policies.assignment_weights.by_term(), 0),
        ),
    },
    UpsertConsultant: {
        Code.UNKNOWN_HOLIDAY_REGION: lambda w: w.run(UpsertConsultant, time_zone="UTC", holiday_region="ZZ"),
        Code.UNKNOWN_SERVICE_TYPE: lambda w: w.run(
            UpsertConsultant, time_zone="UTC", service_type_ids=[uuid4()]
        ),
    },
    SetConsultantPolicy: {
        Code.UNKNOWN_CONSULTANT: lambda w: w.run(SetConsultantPolicy, consultant_user_id=uuid4()),
        Code.UNKNOWN_SERVICE_TYPE: lambda w: w.run(SetConsultantPolicy, service_type_id=uuid4()),
    },
    SetSpecializationAliases: {
        Code.CONTRADICTORY_ALIASES: lambda w: w.run(
            SetSpecializationAliases, aliases=[{"alias": "law", "specialization": "law"}]
        ),
    },
    ForgetUser: {Code.SESSIONS_AHEAD: _forget_with_session},
    SetCalendarFeed: {
        Code.UNKNOWN_CONSULTANT: _feed(consultant_user_id=uuid4()),
        Code.OTHER_CONSULTANT: _feed_of_another,
        Code.PRIVATE_ADDRESS: _feed(url="https://127.0.0.1/calendar"),
        Code.TOO_MANY_FEEDS: _too_many_feeds,
    },
    ExplainAssignment: {Code.UNKNOWN_REQUEST: lambda w: w.run(ExplainAssignment)},
    SearchSlots: {
        Code.UNKNOWN_SERVICE_TYPE: lambda w: w.run(SearchSlots, service_type_id=uuid4()),
        Code.SERVICE_TYPE_INACTIVE: lambda w: withdrawn(w).run(SearchSlots),
    },
    ReceiveReply: {
        Code.UNREADABLE: _reply(lambda box: box.reply("garbage")),
        Code.NOT_A_REPLY: _reply(lambda box: box.reply(calendar(box.question, method="CANCEL"))),
        Code.COUNTER_PROPOSAL: _reply(lambda box: box.reply(calendar(box.question, method="COUNTER"))),
        Code.NOT_AUTHENTICATED: _reply(lambda box: box.reply(authenticated=False)),
        Code.UNKNOWN_EVENT: _reply(lambda box: box.reply(calendar(uuid4()))),
        Code.WRONG_PERSON: _reply(lambda box: box.reply(sender="other@example.org")),
        Code.STALE: _reply_after(lambda box: box.cancel(box.pending_request)),
        Code.NO_ANSWER: _reply_after(lambda _: None, "TENTATIVE"),
        Code.ALREADY_ENDED: _reply(_reply_to_ended),
        Code.HOLD_EXPIRED: _reply_after(lambda box: box.later(days=2)),
        Code.NOT_WAITING: _reply_after(lambda box: box.cancel(box.pending_request), sequence=1),
        Code.NOT_ASSIGNED_CONSULTANT: _reply_after(_ask_another, sequence=1),
        Code.OTHER_CONFIRMATION_REQUEST: _reply_after(_ask_again, sequence=1),
        Code.UNKNOWN_REQUEST: _reply_after(_lose_request),
    },
}
