"""What an announced plan does to sessions, calendars and people, and how a requester answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from booking_tasks.absence import announcement
from booking_tasks.absence import service as by_hand
from booking_tasks.context import Context, Policies
from booking_tasks.contracts import (
    AbsencePlanOutcome,
    AnswerProposal,
    CancelSession,
    ReassignOutcome,
    ReassignSession,
    RescheduleSession,
)
from booking_tasks.invites.notices import compose_notice
from booking_tasks.invites.service import compose_cancellation, compose_invite
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.models import (
    AbsencePlan,
    AbsencePlanStep,
    AssignmentDecision,
    AvailabilitySlot,
    Event,
    Job,
    ScheduledSession,
)
from booking_tasks.outbox.job_args import SendCancellation, SendInvite
from booking_tasks.reminders.service import compose_reminder
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.absence.scenario import DAY, HOUR, MINUTE, TEN, Day, apply, meeting, plan, rows, undo
from tests.builders import NOW
from tests.invariants import of_rows
from tests.invites.test_service import SENDER, body, read, sent_before
from tests.sample_jobs import leased_job, leased_row, sample_args

GRACE = 5 * MINUTE
WRITERS: tuple[tuple[Callable[..., bytes | Skipped | Snooze], str], ...] = (
    (compose_reminder, "send_reminder"),
    (compose_invite, "send_invite"),
)


def announced_plan(db: Session, ctx: Context, day: Day) -> AbsencePlanOutcome:
    """The day's plan, applied and announced. Both sides of every session had their invitations."""
    for session in (day.first, day.second, day.third):
        for who in (session.requester_user_id, day.okafor):
            sent_before(db, SendInvite(session.id, 0, who))
    outcome = apply(db, ctx, plan(db, ctx, day.okafor).plan_id)
    assert outcome.plan_id is not None
    assert announcement.announce_due_plan(db, replace(ctx, now=NOW + GRACE), outcome.plan_id) is None
    return outcome


def waiting(db: Session, job_type: str) -> set[tuple[UUID, UUID | None, int]]:
    """(subject, recipient, revision) of the jobs of a type that are not sent yet."""
    rows = db.scalars(select(Job).where(Job.job_type == job_type, Job.state == "waiting"))
    return {(row.subject_id, UUID(row.args["recipient"]), row.args["revision"]) for row in rows}


def states(db: Session) -> list[str]:
    return list(db.execute(select(AbsencePlanStep.state).order_by(AbsencePlanStep.position)).scalars())


def test_a_reassigned_session_is_the_colleagues_and_each_side_is_notified_once(
    db: Session, ctx: Context, day: Day
) -> None:
    announced_plan(db, ctx, day)

    assert (day.first.consultant_user_id, day.first.revision) == (day.stein, 1)
    assert (day.first.id, day.okafor, 1) in waiting(db, "send_cancellation")
    assert {one for one in waiting(db, "send_invite") if one[0] == day.first.id} == {
        (day.first.id, day.stein, 1),
        (day.first.id, day.first.requester_user_id, 1),
    }
    decision = select(AssignmentDecision).where(AssignmentDecision.reason == "reassigned")
    assert db.execute(decision).scalar_one().inputs["absence_plan_id"]
    assert states(db) == ["done", "offered", "cancelled"]
    assert of_rows(db) == []
    plan_row = db.execute(select(AbsencePlan)).scalar_one()
    assert (plan_row.state, plan_row.finished_at) == ("announced", NOW + GRACE)
    assert undo(db, ctx, plan_row.id).code == "already_announced"


def test_a_cancelled_requester_gets_an_apology_and_the_consultant_a_plain_cancellation(
    db: Session, ctx: Context, day: Day
) -> None:
    announced_plan(db, ctx, day)
    assert day.third.status == "cancelled_by_consultant"
    cancel = SendCancellation(day.third.id, 1, day.third.requester_user_id)
    sorry = read(compose_cancellation(db, ctx, SENDER, leased_job(cancel)))
    plain = read(compose_cancellation(db, ctx, SENDER, leased_job(replace(cancel, recipient=day.okafor))))
    assert "we are sorry" in body(sorry)
    assert "sorry" not in body(plain)
    assert "ill" not in f"{body(sorry)}{body(plain)}".split()


def test_the_held_time_is_proposed_and_no_other_mail_of_the_session_is_sent(
    db: Session, ctx: Context, day: Day
) -> None:
    announced_plan(db, ctx, day)
    assert (day.second.status, day.second.revision, day.second.consultant_user_id) == (
        "scheduled",
        0,
        day.okafor,
    )
    [proposed] = db.execute(select(Job).where(Job.job_type == "send_notice")).scalars()
    assert proposed.args["recipient"] == str(day.second.requester_user_id)
    text = body(read(compose_notice(db, ctx, SENDER, leased_row(proposed))))
    assert "Agreed: Wednesday, 3 March 2027, 11:00–12:00" in text
    assert "Proposed: Thursday, 4 March 2027, 10:00–11:00" in text
    assert "Please answer until: Tuesday, 2 March 2027, 09:05" in text
    for writer, job_type in WRITERS:
        for who in (day.second.requester_user_id, day.okafor):
            assert writer(
                db, ctx, SENDER, leased_job(sample_args(job_type, session_id=day.second.id, recipient=who))
            ) == Skipped("another time is proposed")
    [event] = db.execute(select(Event).where(Event.type == "session.time_proposed")).scalars()
    assert event.after["proposed_start"] == (TEN + DAY).isoformat()
    [end] = db.execute(select(Job).where(Job.job_type == "end_proposal")).scalars()
    assert end.due_at == NOW + GRACE + DAY


def test_mail_waits_until_the_announcement_and_is_right_again_after_an_undo(
    db: Session, ctx: Context, day: Day
) -> None:
    plan_id = apply(db, ctx, plan(db, ctx, day.okafor).plan_id).plan_id
    mails = [
        (writer, leased_job(sample_args(job_type, session_id=session.id, recipient=who)))
        for writer, job_type in WRITERS
        for session in (day.first, day.second, day.third)
        for who in (session.requester_user_id, day.okafor)
    ]
    assert all(isinstance(writer(db, ctx, SENDER, one), Snooze) for writer, one in mails)
    undo(db, ctx, plan_id)
    assert all(isinstance(writer(db, ctx, SENDER, one), bytes) for writer, one in mails)


def test_without_a_grace_it_is_announced_at_once(db: Session, ctx: Context, day: Day) -> None:
    at_once = replace(ctx, policies=Policies(absence_grace=timedelta(0)))
    outcome = apply(db, at_once, plan(db, at_once, day.okafor).plan_id)
    assert (outcome.state, outcome.announce_at) == ("announced", NOW)
    assert [one.state for one in outcome.steps] == ["done", "offered", "cancelled"]
    assert outcome.plan_id is not None
    assert announcement.announce_due_plan(db, ctx, outcome.plan_id) == "the plan is announced"


# -- whoever acts on a session while the plan can be undone ---------------------------------------------


def _applied(db: Session, ctx: Context, day: Day) -> UUID:
    plan_id = apply(db, ctx, plan(db, ctx, day.okafor).plan_id).plan_id
    assert plan_id is not None
    return plan_id


def _announce(db: Session, ctx: Context, plan_id: UUID) -> None:
    announcement.announce_due_plan(db, replace(ctx, now=NOW + GRACE), plan_id)


def test_what_its_requester_cancels_is_not_sent_to_the_colleague(db: Session, ctx: Context, day: Day) -> None:
    plan_id = _applied(db, ctx, day)
    for session in (day.first, day.second, day.third):
        command = CancelSession(
            message_id=uuid4(), actor="m", session_id=session.id, cancelled_by="user", reason="exam"
        )
        assert sessions.cancel(db, ctx, command).result == "done"
    _announce(db, ctx, plan_id)
    assert states(db) == ["overtaken"] * 3
    assert day.stein not in {
        who for _, who, _ in waiting(db, "send_invite") | waiting(db, "send_cancellation")
    }
    left = select(AvailabilitySlot).where(AvailabilitySlot.source.in_(("absence", "hold", "session")))
    assert db.execute(left).all() == []
    assert of_rows(db) == []


def test_what_somebody_moves_or_reassigns_by_hand_stays_as_they_left_it(
    db: Session, ctx: Context, day: Day
) -> None:
    plan_id = _applied(db, ctx, day)
    move = RescheduleSession(message_id=uuid4(), actor="m", session_id=day.first.id, new_start=TEN + 4 * HOUR)
    assert sessions.reschedule(db, ctx, move).result == "done"
    db.execute(
        update(AvailabilitySlot)
        .where(AvailabilitySlot.consultant_user_id == day.stein, AvailabilitySlot.status == "available")
        .where(AvailabilitySlot.start_time == TEN)
        .values(end_time=TEN + 3 * HOUR)
    )
    reassignment = ReassignSession(
        message_id=uuid4(), actor="d", session_id=day.second.id, consultant_user_id=day.stein, reason="x"
    )
    assert by_hand.reassign(db, ctx, reassignment).result == "done"
    _announce(db, ctx, plan_id)

    assert states(db) == ["overtaken", "overtaken", "cancelled"]
    assert (day.first.consultant_user_id, day.first.scheduled_start_time) == (day.okafor, TEN + 4 * HOUR)
    assert (day.second.consultant_user_id, day.second.revision) == (day.stein, 1)
    assert of_rows(db) == []


@pytest.mark.parametrize("status", ["scheduled", "in_progress", "attendance_unknown"])
def test_a_session_that_began_before_the_announcement_stays_with_its_consultant(
    db: Session, ctx: Context, day: Day, status: str
) -> None:
    """However far it has come by then: the sweeps that start and judge may have been quicker."""
    before = rows(db, "consultant_availability_slots")
    plan_id = _applied(db, ctx, day)
    for one in (day.first, day.second, day.third):
        builders.take_steps(db, one, status)
    sessions_then = [_shown(one) for one in (day.first, day.second, day.third)]
    announcement.announce_due_plan(db, replace(ctx, now=TEN + 3 * HOUR), plan_id)
    assert states(db) == ["overtaken"] * 3
    assert rows(db, "consultant_availability_slots") == before
    db.expire_all()
    assert [_shown(one) for one in (day.first, day.second, day.third)] == sessions_then
    assert {one.substitute_user_id for one in (day.first, day.second, day.third)} == {None}


def _shown(session: ScheduledSession) -> tuple[object, ...]:
    return session.status, session.revision, session.consultant_user_id, session.scheduled_start_time


def test_what_is_undone_when_its_sessions_have_ended_is_undone_all_the_same(
    db: Session, ctx: Context, day: Day
) -> None:
    before = rows(db, "consultant_availability_slots")
    plan_id = _applied(db, ctx, day)
    for one in (day.first, day.second, day.third):
        builders.take_steps(db, one, "attendance_unknown")
    db.expire_all()
    undo(db, replace(ctx, now=TEN + 3 * HOUR), plan_id)
    assert states(db) == ["undone"] * 3
    assert rows(db, "consultant_availability_slots") == before


def test_a_hold_that_expired_before_the_announcement_is_not_proposed(
    db: Session, ctx: Context, day: Day
) -> None:
    plan_id = _applied(db, ctx, day)
    announcement.announce_due_plan(db, replace(ctx, now=NOW + 2 * DAY), plan_id)
    assert states(db) == ["done", "cancelled", "cancelled"]
    assert of_rows(db) == []


# -- the answer ------------------------------------------------------------------------------------------


def answer(db: Session, ctx: Context, accepted: bool, proposal: UUID | None = None) -> ReassignOutcome:
    found = select(AbsencePlanStep.id).where(AbsencePlanStep.action == "propose")
    command = AnswerProposal(
        message_id=uuid4(),
        actor="mira",
        proposal_id=proposal or db.execute(found).scalar_one(),
        accepted=accepted,
    )
    return announcement.answer_proposal(db, replace(ctx, now=NOW + HOUR), command)


def test_accepted_the_session_is_the_other_consultants_at_the_new_time_under_its_own_name(
    db: Session, ctx: Context, day: Day
) -> None:
    announced_plan(db, ctx, day)
    outcome = answer(db, ctx, accepted=True)

    assert (outcome.result, outcome.session_id, outcome.revision) == ("done", day.second.id, 1)
    assert (outcome.consultant_user_id, outcome.start) == (day.stein, TEN + DAY)
    assert of_rows(db) == []
    assert (day.second.id, day.okafor, 1) in waiting(db, "send_cancellation")
    assert {who for subject, who, _ in waiting(db, "send_invite") if subject == day.second.id} == {
        day.stein,
        day.second.requester_user_id,
    }
    assert answer(db, ctx, accepted=True).result == "already_done"
    assert answer(db, ctx, accepted=False).code == "not_offered"


def test_accepted_with_the_same_consultant_it_is_a_move(db: Session, ctx: Context, day: Day) -> None:

    builders.window(db, day.okafor, TEN + DAY)
    announced_plan(db, ctx, day)
    outcome = answer(db, ctx, accepted=True, proposal=_proposal_of(db, day.second))
    assert (outcome.consultant_user_id, outcome.start) == (day.okafor, TEN + DAY)
    types = select(Event.type).where(Event.scheduled_session_id == day.second.id).order_by(Event.position)
    assert list(db.execute(types).scalars()) == ["session.time_proposed", "session.rescheduled"]
    assert of_rows(db) == []


def _proposal_of(db: Session, session: ScheduledSession) -> UUID:
    return db.execute(
        select(AbsencePlanStep.id).where(AbsencePlanStep.scheduled_session_id == session.id)
    ).scalar_one()


def test_declined_the_session_ends_and_the_kept_time_is_free(db: Session, ctx: Context, day: Day) -> None:
    announced_plan(db, ctx, day)
    outcome = answer(db, ctx, accepted=False)
    assert (outcome.result, outcome.status) == ("done", "cancelled_by_consultant")
    assert db.execute(select(AvailabilitySlot).where(AvailabilitySlot.status == "held")).all() == []
    assert answer(db, ctx, accepted=False).result == "already_done"
    assert of_rows(db) == []


@pytest.mark.parametrize(
    "announced", [False, True], ids=["before the announcement", "while an answer is awaited"]
)
def test_a_session_that_its_requester_cancels_gives_the_kept_time_back_at_once(
    db: Session, ctx: Context, day: Day, announced: bool
) -> None:
    plan_id = apply(db, ctx, plan(db, ctx, day.okafor).plan_id).plan_id
    assert plan_id is not None
    late = replace(ctx, now=NOW + GRACE)
    if announced:
        assert announcement.announce_due_plan(db, late, plan_id) is None
    command = CancelSession(
        message_id=uuid4(), actor="mira", session_id=day.second.id, cancelled_by="user", reason="well again"
    )
    assert sessions.cancel(db, late, command).result == "done"
    assert db.execute(select(AvailabilitySlot).where(AvailabilitySlot.status == "held")).all() == []
    assert of_rows(db) == []
    assert answer(db, ctx, accepted=True).result == "refused"
    assert announcement.end_unanswered_proposal(db, late, day.second.id, _proposal_of(db, day.second)) in {
        None,
        "the proposal is applied",
    }
    if not announced:
        assert announcement.announce_due_plan(db, late, plan_id) is None
    step = db.get_one(AbsencePlanStep, _proposal_of(db, day.second), populate_existing=True)
    assert (step.state, day.second.status) == ("overtaken", "cancelled_by_user")
    assert of_rows(db) == []


def test_without_an_answer_it_ends_when_the_time_is_over(db: Session, ctx: Context, day: Day) -> None:
    announced_plan(db, ctx, day)
    step, late = _proposal_of(db, day.second), replace(ctx, now=NOW + GRACE + DAY)
    assert announcement.end_unanswered_proposal(db, late, day.second.id, step) is None
    assert day.second.status == "cancelled_by_consultant"
    assert announcement.end_unanswered_proposal(db, late, day.second.id, step) == "the proposal is cancelled"
    assert answer(db, ctx, accepted=True).code == "not_offered"
    assert of_rows(db) == []


def test_a_time_that_is_no_longer_kept_cannot_be_accepted(db: Session, ctx: Context, day: Day) -> None:
    announced_plan(db, ctx, day)
    db.execute(update(AvailabilitySlot).where(AvailabilitySlot.status == "held").values(held_until=NOW))
    outcome = answer(db, ctx, accepted=True)
    assert (outcome.code, outcome.revision) == ("hold_expired", 0)
    assert of_rows(db) == []
    assert answer(db, ctx, accepted=True, proposal=uuid4()).code == "unknown_proposal"


@pytest.mark.parametrize("accepted", [True, False])
def test_a_session_that_was_called_off_meanwhile_takes_no_answer(
    db: Session, ctx: Context, day: Day, accepted: bool
) -> None:
    announced_plan(db, ctx, day)
    command = CancelSession(
        message_id=uuid4(), actor="m", session_id=day.second.id, cancelled_by="user", reason="exam"
    )
    sessions.cancel(db, ctx, command)
    assert answer(db, ctx, accepted=accepted).code == "not_offered"
    late = replace(ctx, now=NOW + GRACE + DAY)
    assert announcement.end_unanswered_proposal(db, late, day.second.id, _proposal_of(db, day.second)) is None
    assert db.execute(select(AvailabilitySlot).where(AvailabilitySlot.status == "held")).all() == []
    assert states(db)[1] == "overtaken"


def test_two_sessions_of_one_requester_are_proposed_different_times(
    db: Session, ctx: Context, day: Day
) -> None:
    other = meeting(db, day.okafor, day.service_type_id, TEN + 3 * HOUR)
    for row in (other, db.get_one(ScheduledSession, day.second.id)):
        builders.change_session(db, row, requester_user_id=day.second.requester_user_id)
    outcome = plan(db, ctx, day.okafor)
    times = [one.start for one in outcome.steps if one.action == "propose"]
    assert len(times) == len(set(times)) == 2
