"""The smallest scenario for every refusal code of the commands that book, move and end consultations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from booking_tasks.contracts import (
    AcceptOffer,
    BookSeries,
    CancelRequest,
    CancelSession,
    ConfirmHold,
    ConfirmRequest,
    DeclineOffer,
    DeclineRequest,
    HoldSlot,
    Outcome,
    Query,
    ReassignSession,
    ReleaseHold,
    RenewHold,
    RescheduleSession,
    SubmitRequest,
)
from booking_tasks.enums import RefusalCode as Code
from booking_tasks.models import Consultant, ScheduledSession
from tests import builders
from tests.builders import NOW
from tests.refusals.reassignment import Scenario, hold_beside, reassign_codes, set_policy
from tests.refusals.world import HOUR, START, World, withdrawn


def _change_consultant(world: World, who: UUID, **values: Any) -> None:
    row = world.db.get_one(Consultant, who)
    for name, value in values.items():
        setattr(row, name, value)
    world.db.flush()


def _after(contract: type[Query[Any]], **profile: Any) -> Scenario:
    """A command for the consultant of the world, whose profile was changed."""

    def scenario(world: World) -> Outcome:
        _change_consultant(world, world.who, **profile)
        return world.run(contract)

    return scenario


def _full(world: World) -> Outcome:
    _change_consultant(world, world.who, assignment_capacity=1)
    world.hold(start=START + 3 * HOUR)
    return world.run(HoldSlot)


def _request_exists(world: World) -> Outcome:
    request = builders.request(world.db, world.service.id)
    return world.run(SubmitRequest, request_id=request.id)


def _submit_codes() -> dict[str, Scenario]:
    return {
        Code.UNKNOWN_SERVICE_TYPE: lambda w: w.run(SubmitRequest, service_type_id=uuid4()),
        Code.SERVICE_TYPE_INACTIVE: lambda w: withdrawn(w).run(SubmitRequest),
        Code.UNKNOWN_CONSULTANT: lambda w: w.run(SubmitRequest, preferred_consultant_user_id=uuid4()),
        Code.UNKNOWN_REQUEST: lambda w: w.run(SubmitRequest, replaces_request_id=uuid4()),
        Code.REQUEST_EXISTS: _request_exists,
        Code.WINDOW_OVER: lambda w: w.run(SubmitRequest, preferred_end=NOW - HOUR),
        Code.CONTRADICTORY_PREFERENCE: lambda w: w.run(
            SubmitRequest, preferred_consultant_user_id=w.who, fallback="wait"
        ),
        Code.IS_THE_REQUESTER: lambda w: w.run(
            SubmitRequest, requester_user_id=w.who, preferred_consultant_user_id=w.who
        ),
        Code.PREFERRED_CANNOT: lambda w: w.run(
            SubmitRequest,
            preferred_consultant_user_id=w.who,
            fallback="only",
            required_specializations=["law"],
        ),
        Code.NOBODY_LEFT: lambda w: w.run(SubmitRequest, excluded_consultant_user_ids=[w.who]),
    }


def _answer(contract: type[Query[Any]], **values: Any) -> Scenario:
    """An answer of the asked consultant to a request that waits for it, except for `values`."""

    def scenario(world: World) -> Outcome:
        request = world.pending()
        return world.run(contract, **{"request_id": request.id, "consultant_user_id": world.who} | values)

    return scenario


def _answer_too_late(world: World) -> Outcome:
    request = world.pending()
    world.later(days=2)
    return world.run(ConfirmRequest, request_id=request.id)


def _answer_codes(contract: type[Query[Any]]) -> dict[str, Scenario]:
    return {
        Code.UNKNOWN_REQUEST: lambda w: w.run(contract),
        Code.NOT_WAITING: lambda w: w.run(contract, request_id=builders.request(w.db, w.service.id).id),
        Code.NOT_ASSIGNED_CONSULTANT: _answer(contract, consultant_user_id=uuid4()),
        Code.OTHER_CONFIRMATION_REQUEST: _answer(contract, confirmation_request_id=uuid4()),
    }


def _cancel_scheduled(world: World) -> Outcome:
    return world.run(CancelRequest, request_id=world.session().consultation_request_id)


def _cancel_rejected(world: World) -> Outcome:
    request = builders.request(world.db, world.service.id, status="rejected")
    return world.run(CancelRequest, request_id=request.id)


#: The values of a command that changes a session -> how the session is named in them.
Change = Callable[[World, ScheduledSession], dict[str, Any]]


def _moved(_: World, __: ScheduledSession) -> dict[str, Any]:
    return {"new_start": START + 2 * HOUR}


def _changed(contract: type[Query[Any]], change: Change, *statuses: str) -> Scenario:
    """The command about a session that has gone through these statuses."""

    def scenario(world: World) -> Outcome:
        session = world.session()
        for status in statuses:
            session.status = status
            world.db.flush()
        return world.run(contract, session_id=session.id, **change(world, session))

    return scenario


def _change_codes(contract: type[Query[Any]], change: Change) -> dict[str, Scenario]:
    def unknown(world: World) -> Outcome:
        return world.run(contract, **change(world, world.session()))

    return {
        Code.UNKNOWN_SESSION: unknown,
        Code.ALREADY_STARTED: _changed(contract, change, "in_progress"),
        Code.ALREADY_ENDED: _changed(contract, change, "in_progress", "completed"),
    }


def _reschedule(prepare: Callable[[World, ScheduledSession], Any], hours: float = 2) -> Scenario:
    """A move to a later start of the same day, after `prepare`."""

    def scenario(world: World) -> Outcome:
        session = world.session()
        prepare(world, session)
        return world.run(RescheduleSession, session_id=session.id, new_start=START + hours * HOUR)

    return scenario


def _limited(world: World, session: ScheduledSession) -> None:
    hold_beside(world, session, 3)
    set_policy(world, session, max_sessions_per_day=1)


def _reschedule_codes() -> dict[str, Scenario]:
    return {
        Code.SLOT_NOT_FREE: _reschedule(lambda _, __: None, hours=10),
        Code.SLOT_TAKEN: _reschedule(lambda w, s: hold_beside(w, s, 2)),
        Code.REQUESTER_BUSY: _reschedule(
            lambda w, s: hold_beside(w, s, 2, consultant_user_id=w.who, requester_user_id=s.requester_user_id)
        ),
        Code.NOTICE_TOO_SHORT: _reschedule(lambda w, s: set_policy(w, s, minimum_notice_minutes=4320)),
        Code.BEYOND_HORIZON: _reschedule(lambda w, s: set_policy(w, s, horizon_days=1)),
        Code.LIMIT_REACHED: _reschedule(_limited),
        Code.NOT_AVAILABLE_FOR_BOOKING: _reschedule(
            lambda w, s: _change_consultant(w, s.consultant_user_id, is_available_for_booking=False)
        ),
        Code.SERVICE_NOT_OFFERED: _reschedule(
            lambda w, s: _change_consultant(w, s.consultant_user_id, service_type_ids=[])
        ),
        Code.SERVICE_TYPE_INACTIVE: _reschedule(lambda w, s: set_policy(w, s, is_active=False)),
    }


def _hold_after(**policy: int) -> Scenario:
    """A hold under another policy of the service type, while another one is held later that day."""

    def scenario(world: World) -> Outcome:
        world.hold(start=START + 3 * HOUR)
        set_policy(world, None, **policy)
        return world.run(HoldSlot)

    return scenario


def _hold_busy(world: World) -> Outcome:
    requester = uuid4()
    world.hold(consultant_user_id=world.other_consultant(), requester_user_id=requester)
    return world.run(HoldSlot, requester_user_id=requester)


def _hold_taken(world: World) -> Outcome:
    world.hold()
    return world.run(HoldSlot)


def _hold_request_exists(world: World) -> Outcome:
    return world.run(HoldSlot, request_id=builders.request(world.db, world.service.id).id)


def _hold_codes() -> dict[str, Scenario]:
    return {
        Code.UNKNOWN_SERVICE_TYPE: lambda w: w.run(HoldSlot, service_type_id=uuid4()),
        Code.UNKNOWN_CONSULTANT: lambda w: w.run(HoldSlot, consultant_user_id=uuid4()),
        Code.REQUEST_EXISTS: _hold_request_exists,
        Code.IS_THE_REQUESTER: lambda w: w.run(HoldSlot, requester_user_id=w.who),
        Code.SLOT_NOT_FREE: lambda w: w.run(HoldSlot, start=START + 10 * HOUR),
        Code.SLOT_TAKEN: _hold_taken,
        Code.REQUESTER_BUSY: _hold_busy,
        Code.NOTICE_TOO_SHORT: _hold_after(minimum_notice_minutes=4320),
        Code.BEYOND_HORIZON: _hold_after(horizon_days=1),
        Code.LIMIT_REACHED: _hold_after(max_sessions_per_day=1),
        Code.SERVICE_TYPE_INACTIVE: lambda w: withdrawn(w).run(HoldSlot),
        Code.NOT_AVAILABLE_FOR_BOOKING: _after(HoldSlot, is_available_for_booking=False),
        Code.SERVICE_NOT_OFFERED: _after(HoldSlot, service_type_ids=[]),
        Code.NOT_FOR_COMPANY: _after(HoldSlot, company_ids=[]),
        Code.AT_CAPACITY: _full,
    }


def _held(contract: type[Query[Any]], before: type[Query[Any]] | None = None, minutes: float = 0) -> Scenario:
    """A command about a hold, after another one and some time."""

    def scenario(world: World) -> Outcome:
        hold = world.hold()
        if before is not None:
            world.run(before, **hold)
        world.later(minutes=minutes)
        return world.run(contract, **hold)

    return scenario


def _longest_hold(world: World) -> Outcome:
    hold = world.hold(minutes=60)
    for _ in range(2):
        world.later(minutes=59)
        assert world.run(RenewHold, minutes=60, **hold).result == "done"
    return world.run(RenewHold, minutes=60, **hold)


def _offer(contract: type[Query[Any]], before: type[Query[Any]] | None, minutes: float = 0) -> Scenario:
    def scenario(world: World) -> Outcome:
        offer = world.offered()
        if before is not None:
            assert world.run(before, **offer).result == "done"
        world.later(minutes=minutes)
        return world.run(contract, **offer)

    return scenario


def _series(**values: Any) -> Scenario:
    return lambda world: world.run(BookSeries, **{"series_id": uuid4(), "starts": [START]} | values)


def _series_of_requester(world: World) -> Outcome:
    return _series(requester_user_id=world.who)(world)


def _series_of(**profile: Any) -> Scenario:
    """A series of another consultant with this profile."""
    return lambda world: _series(consultant_user_id=world.other_consultant(**profile))(world)


def _series_confirmed(world: World) -> Outcome:
    set_policy(world, None, requires_confirmation=True)
    return _series()(world)


def _series_exists(world: World) -> Outcome:
    ids = {"series_id": uuid4(), "requester_user_id": uuid4()}
    assert _series(**ids)(world).result == "done"
    return _series(starts=[START + 2 * HOUR], **ids)(world)


SCENARIOS: dict[type[Query[Any]], dict[str, Scenario]] = {
    SubmitRequest: _submit_codes(),
    ConfirmRequest: {**_answer_codes(ConfirmRequest), Code.HOLD_EXPIRED: _answer_too_late},
    DeclineRequest: _answer_codes(DeclineRequest),
    CancelRequest: {
        Code.UNKNOWN_REQUEST: lambda w: w.run(CancelRequest),
        Code.ALREADY_SCHEDULED: _cancel_scheduled,
        Code.ALREADY_ENDED: _cancel_rejected,
    },
    RescheduleSession: {**_change_codes(RescheduleSession, _moved), **_reschedule_codes()},
    CancelSession: _change_codes(CancelSession, lambda _, __: {"cancelled_by": "user"}),
    ReassignSession: {
        **_change_codes(ReassignSession, lambda world, _: {"consultant_user_id": world.who}),
        **reassign_codes(),
    },
    HoldSlot: _hold_codes(),
    RenewHold: {
        Code.UNKNOWN_HOLD: lambda w: w.run(RenewHold),
        Code.HOLD_EXPIRED: _held(RenewHold, minutes=11),
        Code.NOT_HELD: _held(RenewHold, ReleaseHold),
        Code.LONGEST_HOLD: _longest_hold,
    },
    ReleaseHold: {
        Code.UNKNOWN_HOLD: lambda w: w.run(ReleaseHold),
        Code.NOT_HELD: _held(ReleaseHold, ConfirmHold),
    },
    ConfirmHold: {
        Code.UNKNOWN_HOLD: lambda w: w.run(ConfirmHold),
        Code.HOLD_EXPIRED: _held(ConfirmHold, minutes=11),
        Code.NOT_HELD: _held(ConfirmHold, ReleaseHold),
    },
    AcceptOffer: {
        Code.UNKNOWN_OFFER: lambda w: w.run(AcceptOffer),
        Code.OFFER_EXPIRED: _offer(AcceptOffer, None, minutes=31),
        Code.OFFER_OVER: _offer(AcceptOffer, DeclineOffer),
    },
    DeclineOffer: {
        Code.UNKNOWN_OFFER: lambda w: w.run(DeclineOffer),
        Code.OFFER_EXPIRED: _offer(DeclineOffer, None, minutes=31),
        Code.OFFER_OVER: _offer(DeclineOffer, AcceptOffer),
    },
    BookSeries: {
        Code.UNKNOWN_SERVICE_TYPE: _series(service_type_id=uuid4()),
        Code.UNKNOWN_CONSULTANT: _series(consultant_user_id=uuid4()),
        Code.IS_THE_REQUESTER: _series_of_requester,
        Code.SERVICE_TYPE_INACTIVE: lambda w: _series()(withdrawn(w)),
        Code.NOT_AVAILABLE_FOR_BOOKING: _series_of(is_available_for_booking=False),
        Code.SERVICE_NOT_OFFERED: _series_of(service_type_ids=[]),
        Code.NOT_FOR_COMPANY: _series_of(company_ids=[]),
        Code.AT_CAPACITY: lambda w: _series(
            consultant_user_id=w.other_consultant(assignment_capacity=1), starts=[START, START + 2 * HOUR]
        )(w),
        Code.SERIES_EXISTS: _series_exists,
        Code.MUST_BE_CONFIRMED: _series_confirmed,
        Code.CONFLICTS: _series(starts=[START + 10 * HOUR]),
    },
}
