"""The policies by which one consultant departs from a service type: set, replaced, removed."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.availability.store import lock_consultant, service_type
from booking_tasks.catalogue import store
from booking_tasks.catalogue.service import horizon_warning
from booking_tasks.context import Context
from booking_tasks.contracts import PolicyOutcome, SetConsultantPolicy
from booking_tasks.enums import RefusalCode
from booking_tasks.outbox.capacity_released import record_capacity_released

_refused = PolicyOutcome.refusal

#: The fields of the command that are not policies.
_ABOUT = {"message_id", "actor", "consultant_user_id", "service_type_id"}


def set_consultant_policy(db: Session, ctx: Context, command: SetConsultantPolicy) -> PolicyOutcome:
    """Replace a consultant's policies for a service type, or remove them when all are null.

    Locks the consultant, so that no booking sees a half of the change.
    """
    if lock_consultant(db, command.consultant_user_id) is None:
        return _refused(RefusalCode.UNKNOWN_CONSULTANT, "consultant_user_id", "names no consultant")
    if service_type(db, command.service_type_id) is None:
        return _refused(RefusalCode.UNKNOWN_SERVICE_TYPE, "service_type_id", "names no service type")
    key = {
        "consultant_user_id": command.consultant_user_id,
        "consultation_service_type_id": command.service_type_id,
    }
    own = command.model_dump(exclude=_ABOUT)
    if any(value is not None for value in own.values()):
        changed = store.upsert_policy_row(db, key | own, ctx.now)
    else:
        changed = store.delete_policy(db, key)
    if changed:
        record_capacity_released(db, ctx, [command.consultant_user_id], "policy")
    return PolicyOutcome(
        result="done" if changed else "already_done",
        message=horizon_warning(ctx, command.horizon_days),
        consultant_user_id=command.consultant_user_id,
        service_type_id=command.service_type_id,
    )
