"""The steps of a plan in the slot ledger: time is reserved on application and released when undone.

The session and its request stay as they are until the announcement: what people know holds until then. Only
`substitute_user_id` of the session names the colleague whose time is booked for it meanwhile.
The caller holds the locks of the session, its request, the consultants and the requester.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from booking_tasks.absence import store
from booking_tasks.absence.rules import answer_deadline
from booking_tasks.absence.state import transition_step
from booking_tasks.assignment import store as assignments
from booking_tasks.availability import service as availability
from booking_tasks.availability.service import Refusal
from booking_tasks.context import Context
from booking_tasks.enums import SlotStatus, StepAction, StepState
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
    """Reserve what the step needs; return False when it is not available as the draft showed it."""
    image = store.booking_image(db, session.id)
    if image is None:
        return False
    who = step.consultant_user_id
    if who not in {None, session.consultant_user_id} and assignments.at_capacity(db, [who], ctx.now):
        return False
    if step.action == StepAction.REASSIGN:
        reserved = _reserve_for_colleague(db, ctx, step, session, request, image)
    else:
        step.booking_id = image["id"]
        reserved = step.action == StepAction.CANCEL or _hold_proposed_time(
            db, ctx, step, session, request, announced
        )
    if reserved:
        transition_step(step, StepState.APPLIED)
        db.flush()
    return reserved


def _reserve_for_colleague(
    db: Session,
    ctx: Context,
    step: AbsencePlanStep,
    session: ScheduledSession,
    request: ConsultationRequest,
    image: dict[str, str],
) -> bool:
    """Book the session's time with the colleague; block its old time, so that it can be restored."""
    if step.consultant_user_id is None:
        return False
    taken = availability.move_booking(
        db, ctx, request, step.consultant_user_id, session.scheduled_start_time, session
    )
    if isinstance(taken, Refusal) or (taken.start, taken.end) != (step.start_time, step.end_time):
        return False
    step.before, step.booking_id = image, taken.slot_id
    session.substitute_user_id = step.consultant_user_id
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
    """Hold the proposed time for the session's own request."""
    if step.consultant_user_id is None or step.start_time is None:
        return False
    until = answer_deadline(
        announced, ctx.policies.absence_answer, session.scheduled_start_time, step.start_time
    )
    if until is None:
        return False
    length = session.scheduled_end_time - session.scheduled_start_time
    taken = availability.hold_start(
        db, ctx, request, step.consultant_user_id, step.start_time, until, length=length
    )
    if isinstance(taken, Refusal) or taken.end != step.end_time:
        return False
    step.hold_id, step.answer_by = taken.slot_id, until
    return True


def is_untouched(db: Session, step: AbsencePlanStep, session: ScheduledSession) -> bool:
    """Whether the session still has the booked slot that the applied plan left it.

    Whoever moves, reassigns or cancels a session gives it another slot, or none. A session that began or
    ended meanwhile keeps its slot, and so is untouched.
    """
    return store.booking_id(db, session.id) == step.booking_id


def revert_step(
    db: Session, ctx: Context, step: AbsencePlanStep, session: ScheduledSession, *, untouched: bool
) -> None:
    """Release what the step reserved, and restore the session's own slot as it was.

    Where somebody changed the session since, only what the plan still keeps is released.
    """
    store.delete_slot(db, step.block_id, SlotStatus.UNAVAILABLE)
    release_hold(db, ctx, step, session)
    if untouched and step.before is not None:
        session.substitute_user_id = None
        if store.delete_slot(db, step.booking_id, SlotStatus.BOOKED) and step.consultant_user_id is not None:
            record_capacity_released(db, ctx, [step.consultant_user_id], "absence_undone")
        store.restore_booking(db, step.before)


def release_hold(db: Session, ctx: Context, step: AbsencePlanStep, session: ScheduledSession) -> None:
    """Release the time that was held for the requester's answer."""
    if store.delete_slot(db, step.hold_id, SlotStatus.HELD) and step.consultant_user_id is not None:
        people = [step.consultant_user_id, session.requester_user_id]
        record_capacity_released(db, ctx, people, "not_accepted")
