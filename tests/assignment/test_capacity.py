"""`assignment_capacity`: the most that assigning gives somebody, by every door and however many at once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from booking_tasks.absence import plans, service
from booking_tasks.assignment import service as assignment
from booking_tasks.context import Context
from booking_tasks.contracts import (
    ApplyAbsencePlan,
    CancelSession,
    HoldSlot,
    PlanAbsence,
    ReassignSession,
    RequestOutcome,
    SubmitRequest,
)
from booking_tasks.enums import RefusalCode
from booking_tasks.holds import service as holds
from booking_tasks.kit.database import transaction
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.absence.scenario import meeting
from tests.batch.batches import HOUR, TOMORROW, consultant
from tests.builders import NOW
from tests.concurrent_transactions import overtaken
from tests.invariants import of_rows

MOMENT = Context(now=NOW, actor="rival", entry_point="booking")


def ask(db: Session, service_type_id: UUID, hour: int = 0) -> RequestOutcome:
    """Somebody asks for a session, from an hour of tomorrow on."""
    command = SubmitRequest(
        message_id=uuid4(),
        actor="mira",
        request_id=uuid4(),
        requester_user_id=uuid4(),
        service_type_id=service_type_id,
        preferred_start=TOMORROW + hour * HOUR,
    )
    return assignment.submit(db, MOMENT, command)


def reassign_session(db: Session, session: UUID, who: UUID | None = None) -> str:
    """Reassign a session; the outcome's result, or why not."""
    command = ReassignSession(
        message_id=uuid4(), actor="desk", session_id=session, consultant_user_id=who, reason="ill"
    )
    found = service.reassign(db, MOMENT, command)
    return found.code or found.result


def planned(db: Session, who: UUID) -> UUID:
    """A draft for everything that somebody has ahead."""
    message = {"message_id": uuid4(), "actor": "desk", "plan_id": uuid4(), "reason": "ill"}
    plan = plans.plan_absence(db, MOMENT, PlanAbsence.model_validate(message | {"consultant_user_id": who}))
    assert plan.plan_id is not None
    return plan.plan_id


def actions(db: Session, who: UUID) -> Counter[tuple[str, UUID | None]]:
    """What a plan for everything that somebody has ahead would do, and with whom."""
    message = {"message_id": uuid4(), "actor": "desk", "plan_id": uuid4(), "reason": "ill"}
    plan = plans.plan_absence(db, MOMENT, PlanAbsence.model_validate(message | {"consultant_user_id": who}))
    return Counter((one.action, one.consultant_user_id) for one in plan.steps)


def apply(db: Session, plan: UUID) -> str:
    found = plans.apply_plan(db, MOMENT, ApplyAbsencePlan(message_id=uuid4(), actor="desk", plan_id=plan))
    return found.code or found.result


def ahead(db: Session, who: UUID) -> int:
    """How many bookings and holds somebody has."""
    found = text(
        "SELECT count(*) FROM consultant_availability_slots"
        " WHERE consultant_user_id = :who AND status IN ('held', 'booked')"
    )
    return int(db.execute(found, {"who": who}).scalar_one())


def test_a_consultant_at_capacity_gets_no_more_until_a_session_is_over(db: Session) -> None:
    service_type_id = builders.service_type(db).id
    who = consultant(db, assignment_capacity=2)

    outcomes = [ask(db, service_type_id) for _ in range(3)]

    assert [one.status for one in outcomes] == ["scheduled", "scheduled", "pending_assignment"]
    assert outcomes[2].reason == "at_capacity"
    assert outcomes[0].session_id
    sessions.cancel(
        db,
        MOMENT,
        CancelSession(
            message_id=uuid4(),
            actor="mira",
            session_id=outcomes[0].session_id,
            cancelled_by="user",
            reason="x",
        ),
    )
    assert (ask(db, service_type_id).status, ahead(db, who)) == ("scheduled", 2)


def test_what_is_over_does_not_count(db: Session) -> None:
    service_type_id = builders.service_type(db).id
    who = consultant(db, assignment_capacity=1)
    meeting(db, who, service_type_id, NOW - 2 * HOUR)
    assert ask(db, service_type_id).consultant_user_id == who


def test_sessions_of_every_service_type_and_confirmation_requests_count(db: Session) -> None:
    service_type_id, confirming = (
        builders.service_type(db).id,
        builders.service_type(db, requires_confirmation=True).id,
    )
    consultant(db, assignment_capacity=1)
    assert ask(db, confirming).status == "pending_confirmation"
    assert ask(db, service_type_id).reason == "at_capacity"


def test_what_a_requester_chooses_is_bound_by_it_and_what_an_operator_says_is_not(db: Session) -> None:
    service_type_id = builders.service_type(db).id
    who, other = consultant(db, assignment_capacity=1), consultant(db)
    session = meeting(db, other, service_type_id, TOMORROW + 4 * HOUR)
    hold = HoldSlot(
        message_id=uuid4(),
        actor="mira",
        request_id=uuid4(),
        requester_user_id=uuid4(),
        service_type_id=service_type_id,
        consultant_user_id=who,
        start=TOMORROW,
    )
    assert holds.hold_slot(db, MOMENT, hold).result == "done"
    second = hold.model_copy(
        update={"request_id": uuid4(), "requester_user_id": uuid4(), "start": TOMORROW + HOUR}
    )
    assert holds.hold_slot(db, MOMENT, second).code == RefusalCode.AT_CAPACITY
    assert reassign_session(db, session.id) == "nobody_can"
    assert reassign_session(db, session.id, who) == "done"
    assert ahead(db, who) == 2


def test_a_plan_gives_a_colleague_no_more_than_they_take(db: Session) -> None:
    service_type_id = builders.service_type(db).id
    absent, colleague = consultant(db), consultant(db, hours=100, assignment_capacity=2)
    for number in range(3):
        meeting(db, absent, service_type_id, TOMORROW + number * HOUR)
    assert actions(db, absent) == {("reassign", colleague): 2, ("cancel", None): 1}


def test_a_plan_proposes_no_more_of_a_colleagues_time_than_they_take(db: Session) -> None:
    service_type_id = builders.service_type(db).id
    absent = consultant(db)
    colleague = consultant(db, TOMORROW + timedelta(days=1), assignment_capacity=1)
    for number in range(2):
        meeting(db, absent, service_type_id, TOMORROW + number * HOUR)
    assert actions(db, absent) == {("propose", colleague): 1, ("cancel", None): 1}


def test_a_plan_is_outdated_when_its_colleague_has_no_room_any_more(db: Session) -> None:
    service_type_id = builders.service_type(db).id
    absent, colleague = consultant(db), consultant(db, hours=100, assignment_capacity=1)
    meeting(db, absent, service_type_id, TOMORROW + 5 * HOUR)
    plan = planned(db, absent)
    meeting(db, colleague, service_type_id, TOMORROW + 50 * HOUR)
    assert apply(db, plan) == "plan_outdated"
    assert ahead(db, colleague) == 1


# -- several at once ----------------------------------------------------------------------------------------


def test_of_two_pools_that_want_the_last_room_of_one_consultant_one_gets_it(own_database: str) -> None:
    with transaction() as db:
        kinds = [builders.service_type(db).id for _ in range(2)]
        who, other = consultant(db, assignment_capacity=1, priority_tier=1), consultant(db)

    late = overtaken(partial(ask, service_type_id=kinds[0]), partial(ask, service_type_id=kinds[1], hour=3))

    assert late.consultant_user_id == other
    with transaction() as db:
        assert (ahead(db, who), ahead(db, other)) == (1, 1)
        assert of_rows(db) == []


def test_a_session_that_is_reassigned_does_not_overtake_another_pool(own_database: str) -> None:
    with transaction() as db:
        kinds = [builders.service_type(db).id for _ in range(2)]
        who, absent = consultant(db, assignment_capacity=1, priority_tier=1), consultant(db, hours=1)
        session = meeting(db, absent, kinds[1], TOMORROW + 4 * HOUR).id

    late = overtaken(partial(ask, service_type_id=kinds[0]), partial(reassign_session, session=session))

    assert late == "nobody_can"
    with transaction() as db:
        assert ahead(db, who) == 1


def test_a_plan_that_is_applied_does_not_overtake_another_pool(own_database: str) -> None:
    with transaction() as db:
        kinds = [builders.service_type(db).id for _ in range(2)]
        who, absent = consultant(db, assignment_capacity=1, priority_tier=1), consultant(db, hours=1)
        meeting(db, absent, kinds[1], TOMORROW + 4 * HOUR)
        plan = planned(db, absent)

    late = overtaken(partial(ask, service_type_id=kinds[0]), partial(apply, plan=plan))

    assert late == "plan_outdated"
    with transaction() as db:
        assert ahead(db, who) == 1


def test_of_many_pools_at_once_each_consultant_gets_what_they_take_and_no_more(own_database: str) -> None:
    with transaction() as db:
        kinds = [builders.service_type(db, slot_step_minutes=60).id for _ in range(4)]
        people = {consultant(db, hours=24, assignment_capacity=most): most for most in (1, 2, 4)}

    def run(number: int) -> str | None:
        with transaction() as db:
            return ask(db, kinds[number % 4]).status

    with ThreadPoolExecutor(8) as pool:
        became = Counter(pool.map(run, range(16)))

    assert became == {"scheduled": 7, "pending_assignment": 9}
    with transaction() as db:
        assert {who: ahead(db, who) for who in people} == people
        reasons = text("SELECT DISTINCT status_reason FROM consultation_requests WHERE status_reason <> ''")
        assert set(db.execute(reasons).scalars()) == {"at_capacity"}
