"""The copy of the directory: how to reach and address a person."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.catalogue import store
from booking_tasks.catalogue.invites_ahead import update_invites
from booking_tasks.context import Context
from booking_tasks.contracts import UpsertUser, UserOutcome
from booking_tasks.enums import RefusalCode
from booking_tasks.jobs.put_off import make_due_for_person
from booking_tasks.kit.addresses import is_of_service
from booking_tasks.outbox.pending_wakeups import wake_after_commit


def upsert_user(db: Session, ctx: Context, command: UpsertUser) -> UserOutcome:
    """Store how to reach and address a person; mail that waits for it is due at once.

    A new name or address changes the invitations to sessions ahead, which a job does.
    """
    if is_of_service(command.email, ctx.policies.mail_address):
        problem = "is the address of the service itself; give the person's own address"
        return UserOutcome.refusal(RefusalCode.ADDRESS_OF_SERVICE, "email", problem)
    values = command.model_dump(exclude={"message_id", "actor"})
    before = store.locked_person(db, command.user_id)
    changed = store.upsert_user_row(db, values, ctx.now)
    if changed:
        wake_after_commit(db, make_due_for_person(db, command.user_id))
    if before is None or (before.name, before.email) != (command.name, command.email):
        update_invites(db, ctx, command.user_id)
    return UserOutcome(result="done" if changed else "already_done", user_id=command.user_id)
