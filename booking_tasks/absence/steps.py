"""One step of a plan in the slot ledger: taken when the plan is applied, given back when it is undone.

The session and its request stay as they are until the plan is told: what people were told holds until then.
The caller holds the locks: session, request, consultants, requester.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from booking_tasks.absence import store
from booking_tasks.absence.rules import answer_deadline
from booking_tasks.assignment import store as assignments
from booking_tasks.availability import service as availability
from booking_tasks.availability.service import NotTaken
from booking_tasks.context import Context
from booking_tasks.models import AbsencePlanStep, ConsultationRequest, ScheduledSession
from booking_tasks.outbox.capacity_released import record_capacity_released


def apply_step(
    db: Session,
    ctx: Context,
    step: AbsencePlanStep,
    session: ScheduledSession,
    request: ConsultationRequest,
    announced: datetime,
) -> bool:
    """Take what the step needs; False when it is not to be had as it was shown."""
    image = store.booking_image(db, session.id)
    if image is None:
        return False
    who = step.consultant_user_id
    if who not in {None, session.consultant_user_id} and assignments.at_capacity(db, [who], ctx.now):
        return False
    if step.action == "reassign":
        done = _reserve_for_colleague(db, ctx, step, session, request, image)
    elif step.action == "propose":
        step.booking_id = image["id"]
        done = _hold_proposed_time(db, ctx, step, session, request, announced)
    else:
        step.booking_id = image["id"]
        done = True
    if done:
        step.state = "applied"
        db.flush()
    return done


def _reserve_for_colleague(
    db: Session,
    ctx: Context,
    step: AbsencePlanStep,
    session: ScheduledSession,
    request: ConsultationRequest,
    image: dict[str, str],
) -> bool:
    """The session's time with the colleague; its old time stays closed, so that it can come back."""
    if step.consultant_user_id is None:
        return False
    taken = availability.book(
        db, ctx, request, step.consultant_user_id, session.scheduled_start_time, session.id
    )
    if isinstance(taken, NotTaken) or (taken.start, taken.end) != (step.start_time, step.end_time):
        return False
    step.before, step.booking_id = image, taken.slot_id
    step.block_id = store.insert_block(db, session.consultant_user_id, image["start_time"], image["end_time"])
    return True


def _hold_proposed_time(
    db: Session,
    ctx: Context,
    step: AbsencePlanStep,
    session: ScheduledSession,
    request: ConsultationRequest,
    announced: datetime,
) -> bool:
    """The proposed time as a hold of the session's own request."""
    if step.consultant_user_id is None or step.start_time is None:
        return False
    until = answer_deadline(announced, ctx.policies.absence_answer, session.scheduled_start_time, step.start_time)
    if until is None:
        return False
    taken = availability.hold(db, ctx, request, step.consultant_user_id, step.start_time, until)
    if isinstance(taken, NotTaken) or taken.end != step.end_time:
        return False
    step.hold_id, step.answer_by = taken.slot_id, until
    return True


def is_untouched(db: Session, step: AbsencePlanStep, session: ScheduledSession) -> bool:
    """Whether the session is still as the applied plan left it: whoever acts on one gives it another slot,

    or none. That it began or ended meanwhile is nobody's act: its slot is still where the plan put it.
    """
    return store.booking_id(db, session.id) == step.booking_id


def revert_step(db: Session, ctx: Context, step: AbsencePlanStep, *, untouched: bool) -> None:
    """Give back what the step took, and put the session's own slot back as it was.

    Where somebody acted on the session since, only what the plan still keeps is given back.
    """
    store.delete_slot(db, step.block_id, "unavailable")
    release_hold(db, ctx, step)
    if untouched and step.before is not None:
        if store.delete_slot(db, step.booking_id, "booked") and step.consultant_user_id is not None:
            record_capacity_released(db, ctx, [step.consultant_user_id], "absence_undone")
        store.restore_booking(db, step.before)


def release_hold(db: Session, ctx: Context, step: AbsencePlanStep) -> None:
    """Give back the time that was kept for an answer."""
    if store.delete_slot(db, step.hold_id, "held") and step.consultant_user_id is not None:
        record_capacity_released(db, ctx, [step.consultant_user_id], "not_accepted")
