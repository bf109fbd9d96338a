"""The calendar entry of a confirmation request, and the mailboxes that hold it until the request is resolved.

The entry has the id of the confirmation request as its UID. The session takes that id, so that from its
acceptance on the same rows tell which mailbox holds the session.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.enums import InviteMethod, Party, RequestStatus, Resolution
from booking_tasks.invites import mailbox_store as boxes
from booking_tasks.invites import store
from booking_tasks.invites.calendar import content_digest
from booking_tasks.invites.removal import reader_at
from booking_tasks.invites.session_mail import compose_session_mail
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.kit.addresses import mailbox_key
from booking_tasks.kit.errors import AwaitedDataError
from booking_tasks.kit.ids import uuid7
from booking_tasks.mail.calendar_copy import CalendarCopy, MailRecipient, Sender
from booking_tasks.mail.store import counterpart_name, mail_recipient, service_name
from booking_tasks.models import ConsultationRequest, SessionMailbox
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.job_args import JobArgs, NoticeType, SendCancellation, SendNotice
from booking_tasks.outbox.jobs import NewJob
from booking_tasks.outbox.pending_wakeups import wake_after_commit
from booking_tasks.requests.confirmation_requests import (
    ConfirmationRequest,
    confirmation_request,
    open_confirmation_request,
)
from booking_tasks.requests.store import locked_request

#: Two invitations lie so far apart that a cancellation to the former mailbox fits between them (DTSTAMP).
_STEP = timedelta(seconds=2)
_BEFORE_INVITATION = timedelta(seconds=1)


def entry_for(
    db: Session,
    sender: Sender,
    request: ConsultationRequest,
    confirmation: ConfirmationRequest,
    reader: MailRecipient,
    until: datetime,
) -> CalendarCopy | None:
    """The calendar entry of a confirmation request, or its end; None where calendars are not read."""
    if not sender.calendar_replies or confirmation.start is None or confirmation.end is None:
        return None
    revised_at = confirmation.requested_at
    if confirmation.resolved_at is not None:
        revised_at = max(confirmation.resolved_at, confirmation.requested_at + timedelta(seconds=1))
    return CalendarCopy(
        session_id=confirmation.id,
        revision=0 if confirmation.resolved_at is None else boxes.RESOLVED_SEQUENCE,
        revised_at=revised_at,
        created_at=confirmation.requested_at,
        start=confirmation.start,
        end=confirmation.end,
        service=service_name(db, request.consultation_service_type_id),
        recipient=reader,
        counterpart=counterpart_name(db, request.requester_user_id, reader.language),
        join_url=None,
        details=request.request_details,
        answer_until=until,
    )


def record_request(
    db: Session,
    sender: Sender,
    job: LeasedJob[SendNotice],
    confirmation: ConfirmationRequest,
    address: str,
    entry: CalendarCopy | None,
    now: datetime,
) -> None:
    """Store which mailbox a confirmation request is about to reach, with its entry or without one."""
    invitation = boxes.Invitation(
        scheduled_session_id=confirmation.id,
        consultation_request_id=confirmation.request_id,
        user_id=confirmation.consultant_user_id,
        party=Party.CONSULTANT,
        address=address,
        sequence=0,
        content_digest=None if entry is None else content_digest(entry, sender),
        job_id=job.id,
        is_tentative=True,
    )
    boxes.record_invitation(db, invitation, now)


def holders(db: Session, confirmation: ConfirmationRequest) -> list[SessionMailbox]:
    """The consultant's mailboxes that the confirmation request may be in, the one in use first."""
    used = boxes.addresses_of(db, [confirmation.consultant_user_id])
    held = [box for box in _theirs(db, confirmation) if box.method == InviteMethod.REQUEST]
    return sorted(held, key=lambda box: box.mailbox not in used)


def was_removed(db: Session, confirmation: ConfirmationRequest) -> bool:
    """Whether mailboxes are known for the confirmation request, and none holds it any more."""
    known = _theirs(db, confirmation)
    return bool(known) and all(box.method == InviteMethod.CANCEL for box in known)


def _theirs(db: Session, confirmation: ConfirmationRequest) -> list[SessionMailbox]:
    found = boxes.mailboxes(db, confirmation.id)
    return [box for box in found if box.user_id == confirmation.consultant_user_id]


def compose_tentative_removal(
    db: Session, ctx: Context, sender: Sender, job: LeasedJob[SendCancellation]
) -> bytes | Skipped | Snooze:
    """Compose the cancellation of a confirmation request to a mailbox that is not used any more."""
    confirmation = confirmation_request(db, job.args.session_id)
    request = None if confirmation is None else store.request(db, confirmation.request_id)
    if confirmation is None or request is None:
        return Skipped("there is no such session")
    found = _removable(db, confirmation, job.args.mailbox_id)
    if not isinstance(found, SessionMailbox):
        return found
    copy = entry_for(db, sender, request, confirmation, reader_at(db, sender, ctx.policies, found), ctx.now)
    if copy is None:
        return Skipped("calendars are not read")
    boxes.take_for_cancellation(db, job, found.id)
    if confirmation.resolution == Resolution.OPEN:
        copy = replace(copy, revised_at=job.due_at - _BEFORE_INVITATION)
    return compose_session_mail(copy, sender, job, "CANCEL", "other_mailbox")


def _removable(
    db: Session, confirmation: ConfirmationRequest, mailbox_id: UUID | None
) -> SessionMailbox | Skipped | Snooze:
    """The mailbox from which the entry can be removed now, or why it cannot."""
    if confirmation.resolution == Resolution.ACCEPTED:
        return Snooze("the session is being made")
    box = next((one for one in holders(db, confirmation) if one.id == mailbox_id), None)
    if box is None or box.content_digest is None:
        return Skipped("the mailbox does not hold it")
    is_used = box.mailbox in boxes.addresses_of(db, [box.user_id])
    if is_used and confirmation.resolution == Resolution.OPEN:
        return Skipped("the consultant uses this mailbox")
    if store.is_confirmation_request_in_flight(db, confirmation.request_id, box.user_id):
        return Snooze("the confirmation request is being sent")
    return box


def move_entries(db: Session, ctx: Context, sender: Sender, consultant_user_id: UUID) -> bool:
    """Order that open confirmation requests go to the consultant's present mailbox; whether any is open."""
    found = store.requests_to_confirm(db, consultant_user_id, ctx.now)
    for request_id in found:
        request = locked_request(db, request_id)
        if request is None or request.status != RequestStatus.PENDING_CONFIRMATION:
            continue
        confirmation = open_confirmation_request(db, request.id, consultant_user_id)
        if confirmation is not None:
            _move(db, ctx, sender, confirmation)
    return bool(found)


def _move(db: Session, ctx: Context, sender: Sender, confirmation: ConfirmationRequest) -> None:
    who = confirmation.consultant_user_id
    try:
        address = mail_recipient(db, sender, who, ctx.policies).mailbox.address
    except AwaitedDataError:
        return
    used = mailbox_key(address)
    held = holders(db, confirmation)
    # A cancellation that is ordered may still be sent: what it removes is not counted as held.
    staying = [box for box in held if not boxes.is_removal_unfinished(db, box)]
    removed = [box for box in staying if box.mailbox != used and box.content_digest is not None]
    notices = store.confirmation_notices(db, confirmation)
    new: list[JobArgs] = [
        SendCancellation(confirmation.id, 0, who, mailbox_id=box.id, change_id=uuid7()) for box in removed
    ]
    is_there = any(box.mailbox == used for box in staying)
    if not is_there and not notices.are_waiting and (held or notices.were_refused):
        new.append(
            SendNotice(
                confirmation.request_id,
                who,
                NoticeType.CONFIRMATION_REQUESTED,
                confirmation.id,
                change_id=uuid7(),
            )
        )
    due = max(ctx.now, (notices.last_due or confirmation.requested_at) + _STEP)
    wake_after_commit(
        db, {job.job_type for job in outbox_store.insert_jobs(db, [NewJob(args, due) for args in new])}
    )
