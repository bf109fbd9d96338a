"""What a plan shows, what applying it changes, and that undoing it leaves no trace."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import (
    AddLeave,
    ChosenConsultant,
    RescheduleSession,
)
from booking_tasks.enums import RefusalCode
from booking_tasks.hours import service as hours
from booking_tasks.models import (
    AvailabilitySlot,
    Consultant,
    ConsultantPolicy,
    Event,
    Job,
    ScheduledSession,
)
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.absence.scenario import (
    DAY,
    HOUR,
    MINUTE,
    TEN,
    Day,
    apply,
    colleague,
    meeting,
    plan,
    rows,
    shown,
    undo,
)
from tests.builders import NOW
from tests.invariants import of_rows


def test_as_many_as_possible_are_reassigned_then_new_times_proposed_then_the_rest_cancelled(
    db: Session, ctx: Context, day: Day
) -> None:
    before = rows(db)

    outcome = plan(db, ctx, day.okafor)

    assert (outcome.result, outcome.state, outcome.announce_at) == ("done", "draft", None)
    assert shown(outcome) == [
        (day.first.id, "reassign", day.stein, TEN),
        (day.second.id, "propose", day.stein, TEN + DAY),
        (day.third.id, "cancel", None, None),
    ]
    assert [one.reason for one in outcome.steps] == ["best", "nobody_can", "nobody_can"]
    assert rows(db) == before


def _known_sessions(db: Session) -> list[dict[str, object]]:
    """The sessions as people know them: without the colleague who has the time already."""
    db.flush()
    columns = "to_jsonb(s) - '{substitute_user_id,serving_user_id}'::text[]"
    return list(db.execute(text(f"SELECT {columns} FROM scheduled_sessions s ORDER BY s.id")).scalars())


def test_applied_the_time_has_moved_and_everything_that_people_know_still_holds(
    db: Session, ctx: Context, day: Day
) -> None:
    before = rows(db, "consultation_requests", "assignment_credits"), _known_sessions(db)
    outcome = apply(db, ctx, plan(db, ctx, day.okafor).plan_id)

    assert (outcome.result, outcome.state, outcome.announce_at) == ("done", "applied", NOW + 5 * MINUTE)
    assert (rows(db, "consultation_requests", "assignment_credits"), _known_sessions(db)) == before
    assert [one.substitute_user_id for one in (day.first, day.second, day.third)] == [day.stein, None, None]
    reservations = db.execute(
        select(AvailabilitySlot.status, AvailabilitySlot.session_start_time, AvailabilitySlot.held_until)
        .where(AvailabilitySlot.consultant_user_id == day.stein, AvailabilitySlot.status != "available")
        .order_by(AvailabilitySlot.start_time)
    ).all()
    assert [tuple(one) for one in reservations] == [
        ("booked", TEN, None),
        ("held", TEN + DAY, NOW + 5 * MINUTE + DAY),
    ]
    assert outcome.steps[1].answer_by == NOW + 5 * MINUTE + DAY
    assert of_rows(db) == []
    [job] = db.execute(select(Job)).scalars()
    assert (job.job_type, job.subject_id, job.due_at) == (
        "announce_absence",
        outcome.plan_id,
        NOW + 5 * MINUTE,
    )
    [event] = db.execute(select(Event)).scalars()
    assert (event.type, event.consultant_user_id) == ("absence.applied", day.okafor)


def test_the_old_time_is_nobody_elses_while_the_plan_can_be_undone(
    db: Session, ctx: Context, day: Day
) -> None:
    apply(db, ctx, plan(db, ctx, day.okafor).plan_id)
    other = meeting(db, colleague(db, (TEN - HOUR, 8)), day.service_type_id, TEN + 5 * HOUR)
    move = RescheduleSession(message_id=uuid4(), actor="m", session_id=other.id, new_start=TEN)
    builders.change_session(db, db.get_one(ScheduledSession, other.id), consultant_user_id=day.okafor)
    assert sessions.reschedule(db, ctx, move).code == RefusalCode.SLOT_NOT_FREE


def test_undone_every_row_is_as_it_was_and_nobody_is_notified(db: Session, ctx: Context, day: Day) -> None:
    before = rows(db, "consultant_availability_slots", "scheduled_sessions", "consultation_requests")
    plan_id = plan(db, ctx, day.okafor).plan_id
    apply(db, ctx, plan_id)

    outcome = undo(db, replace(ctx, now=NOW + 4 * MINUTE), plan_id)

    assert (outcome.result, outcome.state, {one.state for one in outcome.steps}) == (
        "done",
        "undone",
        {"undone"},
    )
    assert rows(db, "consultant_availability_slots", "scheduled_sessions", "consultation_requests") == before
    assert set(db.execute(select(Job.job_type)).scalars()) == {"announce_absence", "offer_time"}
    assert undo(db, ctx, plan_id).result == "already_done"
    assert apply(db, ctx, plan_id).code == "already_undone"


def test_a_plan_is_refused_that_names_nobody_or_what_it_does_not_affect(
    db: Session, ctx: Context, day: Day
) -> None:
    other = meeting(db, day.stein, day.service_type_id, TEN + 9 * HOUR)
    chosen = (ChosenConsultant(session_id=other.id, consultant_user_id=day.stein),)
    plan_id = plan(db, ctx, day.okafor).plan_id

    assert plan(db, ctx, uuid4()).code == "unknown_consultant"
    assert plan(db, ctx, day.okafor, leave_id=uuid4()).code == "unknown_leave"
    assert plan(db, ctx, day.okafor, except_session_ids=(other.id,)).code == "unknown_session"
    assert plan(db, ctx, day.okafor, chosen=chosen).code == "unknown_session"
    assert plan(db, ctx, day.stein, plan_id=plan_id).code == "plan_exists"
    assert undo(db, ctx, plan_id).code == "not_applied"
    apply(db, ctx, plan_id)
    assert plan(db, ctx, day.okafor, plan_id=plan_id).code == "plan_exists"
    assert apply(db, ctx, plan_id).result == "already_done"
    assert apply(db, ctx, uuid4()).code == undo(db, ctx, uuid4()).code == "unknown_plan"


def test_an_excepted_session_stays_and_a_chosen_consultant_takes_theirs_or_the_reason_is_shown(
    db: Session, ctx: Context, day: Day
) -> None:
    weber = colleague(db, (TEN, 4), specializations=["fencing", "topology"])

    def chosen(session: ScheduledSession) -> ChosenConsultant:
        return ChosenConsultant(session_id=session.id, consultant_user_id=weber)

    outcome = plan(
        db,
        ctx,
        day.okafor,
        except_session_ids=(day.second.id,),
        chosen=(chosen(day.first), chosen(day.third)),
    )
    assert [(one.session_id, one.consultant_user_id, one.reason) for one in outcome.steps] == [
        (day.first.id, weber, "chosen"),
        (day.third.id, weber, "chosen"),
    ]
    impossible = ChosenConsultant(session_id=day.third.id, consultant_user_id=day.stein)
    outcome = plan(db, ctx, day.okafor, chosen=(impossible,))
    assert (outcome.steps[2].action, outcome.steps[2].reason) == ("propose", "missing_specialization")


def _limit(db: Session, service_type_id: UUID, who: UUID, **limits: object) -> None:
    db.add(ConsultantPolicy(consultant_user_id=who, consultation_service_type_id=service_type_id, **limits))
    db.flush()


def test_a_colleague_with_room_for_one_takes_the_one_that_nobody_else_can(
    db: Session, ctx: Context, day: Day
) -> None:
    one_a_day = colleague(db, (TEN, 2))
    _limit(db, day.service_type_id, one_a_day, max_sessions_per_day=1)
    _limit(db, day.service_type_id, day.stein, max_sessions_per_day=1)

    outcome = plan(db, ctx, day.okafor)

    assert shown(outcome)[:2] == [
        (day.first.id, "reassign", day.stein, TEN),
        (day.second.id, "reassign", one_a_day, TEN + HOUR),
    ]


def test_buffers_of_the_colleague_hold_between_sessions_that_follow_each_other(
    db: Session, ctx: Context, day: Day
) -> None:
    builders.window(db, day.stein, TEN + HOUR, 2)
    _limit(db, day.service_type_id, day.stein, buffer_after_minutes=15)
    outcome = plan(db, ctx, day.okafor)
    assert [one.action for one in outcome.steps[:2]] == ["reassign", "propose"]
    assert apply(db, ctx, outcome.plan_id).result == "done"


def test_who_confirms_is_chosen_last_and_marked_and_another_length_never(
    db: Session, ctx: Context, day: Day
) -> None:
    confirming, short = colleague(db, (TEN + HOUR, 1)), colleague(db, (TEN + HOUR, 1))
    _limit(db, day.service_type_id, confirming, requires_confirmation=True)
    _limit(db, day.service_type_id, short, duration_minutes=30)
    step = plan(db, ctx, day.okafor).steps[1]
    assert (step.action, step.consultant_user_id, step.reason) == ("reassign", confirming, "must_confirm")


def test_who_leaves_for_good_is_proposed_no_more_and_every_session_ahead_is_planned(
    db: Session, ctx: Context, day: Day
) -> None:
    late = meeting(db, day.okafor, day.service_type_id, TEN + 20 * DAY, required_specializations=["topology"])
    builders.window(db, day.okafor, TEN + DAY)
    away = plan(db, ctx, day.okafor)
    assert shown(away)[1:] == [
        (day.second.id, "propose", day.okafor, TEN + DAY),
        (day.third.id, "propose", day.okafor, TEN + DAY + HOUR),
    ]

    db.get_one(Consultant, day.okafor).is_available_for_booking = False
    db.flush()
    for_good = plan(db, ctx, day.okafor, start=None)
    assert [one.action for one in for_good.steps] == ["reassign", "propose", "cancel", "cancel"]
    assert for_good.steps[3].session_id == late.id


def test_a_proposal_needs_time_for_its_answer(db: Session, ctx: Context, day: Day) -> None:
    soon = replace(ctx, now=TEN + 50 * MINUTE)  # the second session begins in ten minutes
    outcome = plan(db, soon, day.okafor)
    assert (outcome.steps[0].action, outcome.steps[0].reason) == ("cancel", "too_soon_to_ask")


def test_the_leave_that_is_stored_says_which_time_is_meant_and_how_to_plan(
    db: Session, ctx: Context, day: Day
) -> None:
    leave_id = uuid4()
    leave = AddLeave(
        message_id=uuid4(),
        actor="o",
        leave_id=leave_id,
        consultant_user_id=day.okafor,
        reason="ill",
        start=datetime(2027, 3, 3, 11, 0),
        end=datetime(2027, 3, 3, 12, 0),
    )
    listed = hours.add_leave(db, ctx, leave)
    assert listed.uncovered_session_ids == (day.second.id,)
    assert "plan_absence" in (listed.message or "")
    assert [one.session_id for one in plan(db, ctx, day.okafor, leave_id=leave_id).steps] == [day.second.id]


def test_nobody_is_proposed_whom_the_requester_does_not_want(db: Session, ctx: Context) -> None:
    service_type_id = builders.service_type(db).id
    absent, unwanted, other = (colleague(db) for _ in range(3))
    builders.window(db, absent, TEN, 2)
    builders.window(db, unwanted, TEN + DAY, 4)
    builders.window(db, other, TEN + 2 * DAY, 4)
    excluding = meeting(db, absent, service_type_id, TEN, excluded_consultant_user_ids=[unwanted])
    only = meeting(
        db,
        absent,
        service_type_id,
        TEN + HOUR,
        preferred_consultant_user_id=absent,
        preferred_fallback="only",
    )

    assert shown(plan(db, ctx, absent)) == [
        (excluding.id, "propose", other, TEN + 2 * DAY),
        (only.id, "cancel", None, None),
    ]
