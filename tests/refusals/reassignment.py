"""The smallest scenario for every refusal code of a reassignment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from booking_tasks.contracts import Outcome, ReassignSession, SetConsultantPolicy
from booking_tasks.enums import RefusalCode as Code
from booking_tasks.models import Consultant, ConsultationRequest, ScheduledSession
from tests import builders
from tests.refusals.world import HOUR, START, World

Scenario = Callable[[World], Outcome]


def set_policy(world: World, session: ScheduledSession | None, **values: int) -> None:
    """Set the policy of the service type that the command is about."""
    service = world.service
    if session is not None:
        service = world.db.get_one(type(service), session.consultation_service_type_id)
    for name, value in values.items():
        setattr(service, name, value)
    world.db.flush()


def hold_beside(world: World, session: ScheduledSession, hours: float, **values: Any) -> None:
    """Another hold of the session's consultant, or of its requester."""
    defaults = {
        "service_type_id": session.consultation_service_type_id,
        "consultant_user_id": session.consultant_user_id,
        "start": START + hours * HOUR,
    }
    world.hold(**defaults | values)


def _reassign(who: Callable[[World, ScheduledSession], UUID]) -> Scenario:
    """A session given to a consultant who is made for it."""

    def scenario(world: World) -> Outcome:
        session = world.session()
        return world.run(ReassignSession, session_id=session.id, consultant_user_id=who(world, session))

    return scenario


def _other(**values: Any) -> Callable[[World, ScheduledSession], UUID]:
    return lambda world, _: world.other_consultant(**values)


def _wants(**values: Any) -> Callable[[World, ScheduledSession], UUID]:
    """Another consultant, and a request that asks for more than they have."""

    def prepare(world: World, session: ScheduledSession) -> UUID:
        request = world.db.get_one(ConsultationRequest, session.consultation_request_id)
        for name, value in values.items():
            setattr(request, name, value)
        world.db.flush()
        return world.other_consultant()

    return prepare


def _excluded(world: World, session: ScheduledSession) -> UUID:
    who = world.other_consultant()
    request = world.db.get_one(ConsultationRequest, session.consultation_request_id)
    request.excluded_consultant_user_ids = [who]
    world.db.flush()
    return who


def _requester(world: World, session: ScheduledSession) -> UUID:
    return builders.consultant(world.db, consultant_user_id=session.requester_user_id).consultant_user_id


def _without_hours(world: World, _: ScheduledSession) -> UUID:
    return builders.consultant(world.db).consultant_user_id


def _taken(world: World, session: ScheduledSession) -> UUID:
    who = world.other_consultant()
    hold_beside(world, session, 0, consultant_user_id=who)
    return who


def _busy_longer(world: World, session: ScheduledSession) -> UUID:
    """The session lasts two hours with the other one, and its requester is elsewhere in the second."""
    who, service = world.other_consultant(), session.consultation_service_type_id
    world.run(SetConsultantPolicy, consultant_user_id=who, service_type_id=service, duration_minutes=120)
    hold_beside(world, session, 1, consultant_user_id=world.who, requester_user_id=session.requester_user_id)
    return who


def _under(**policy: int) -> Callable[[World, ScheduledSession], UUID]:
    def prepare(world: World, session: ScheduledSession) -> UUID:
        who = world.other_consultant()
        hold_beside(world, session, 3, consultant_user_id=who)
        set_policy(world, session, **policy)
        return who

    return prepare


def _nobody_can(world: World) -> Outcome:
    session = world.session()
    world.db.get_one(Consultant, world.who).is_available_for_booking = False
    world.db.flush()
    return world.run(ReassignSession, session_id=session.id)


def reassign_codes() -> dict[str, Scenario]:
    return {
        Code.UNKNOWN_CONSULTANT: _reassign(lambda _, __: uuid4()),
        Code.IS_THE_REQUESTER: _reassign(_requester),
        Code.NOT_AVAILABLE_FOR_BOOKING: _reassign(_other(is_available_for_booking=False)),
        Code.SERVICE_NOT_OFFERED: _reassign(_other(service_type_ids=[])),
        Code.NOT_FOR_COMPANY: _reassign(_other(company_ids=[])),
        Code.MISSING_SPECIALIZATION: _reassign(_wants(required_specializations=["law"])),
        Code.MISSING_LANGUAGE: _reassign(_wants(languages=["de"])),
        Code.EXCLUDED: _reassign(_excluded),
        Code.SLOT_NOT_FREE: _reassign(_without_hours),
        Code.SLOT_TAKEN: _reassign(_taken),
        Code.REQUESTER_BUSY: _reassign(_busy_longer),
        Code.NOTICE_TOO_SHORT: _reassign(_under(minimum_notice_minutes=4320)),
        Code.BEYOND_HORIZON: _reassign_beyond,
        Code.LIMIT_REACHED: _reassign(_under(max_sessions_per_day=1)),
        Code.SERVICE_TYPE_INACTIVE: _reassign(_under(is_active=False)),
        Code.NOBODY_CAN: _nobody_can,
    }


def _reassign_beyond(world: World) -> Outcome:
    start = START + 24 * HOUR
    session = world.session(start)
    who = world.other_consultant()
    builders.window(world.db, who, start, hours=4)
    set_policy(world, session, horizon_days=1)
    return world.run(ReassignSession, session_id=session.id, consultant_user_id=who)
