"""The notices about a request: a confirmation requested or withdrawn, a time offered, a rejection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.enums import RequestStatus, SessionStatus
from booking_tasks.invites import confirmation_entries as entries
from booking_tasks.invites import rules, store
from booking_tasks.invites.calendar import calendar_part
from booking_tasks.invites.mailbox_store import take_for_cancellation
from booking_tasks.invites.removal import reader_at
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.kit.signed_links import Grant
from booking_tasks.mail.calendar_copy import CalendarCopy, MailRecipient, Sender
from booking_tasks.mail.dates import instant_text, span_text
from booking_tasks.mail.message import Method, compose, message_id
from booking_tasks.mail.render import one_line, render
from booking_tasks.mail.store import counterpart_name, mail_recipient, service_name
from booking_tasks.models import ConsultationRequest, SessionMailbox
from booking_tasks.offers.rules import effective_state
from booking_tasks.outbox.job_args import NoticeType, SendNotice
from booking_tasks.requests.confirmation_requests import (
    ConfirmationRequest,
    confirmation_request,
    latest_confirmation_request,
)

#: The purpose of a link in a confirmation request, and the path that it leads to.
ANSWERS = "answers"
#: The purpose of a link in an offer; it leads to the same path.
OFFERS = "offers"
#: The purpose of a link in a proposal of another time; it leads to the same path.
PROPOSALS = "proposals"
#: The entry point of calendar replies.
REPLIES = "replies"


@dataclass(frozen=True)
class _Notice:
    """A notice and its reader; `values` fill its template beside the names of reader and service.

    `entry` is added to the reader's calendar or, with CANCEL as `method`, removed from it. `confirmation` is
    the confirmation request that the notice takes to its consultant, `held_by` the mailbox that it leaves.
    """

    type: NoticeType
    reader: MailRecipient
    values: dict[str, str | None]
    link: str | None = None
    entry: CalendarCopy | None = None
    method: Method | None = None
    confirmation: ConfirmationRequest | None = None
    held_by: SessionMailbox | None = None


def compose_notice(
    db: Session, ctx: Context, sender: Sender, job: LeasedJob[SendNotice]
) -> bytes | Skipped | Snooze:
    """Compose the notice that the job orders, or return why it is not due any more.

    Raises AwaitedDataError while the directory cannot address the person it is to.
    """
    args = job.args
    request = store.request(db, args.request_id)
    if request is None:
        return Skipped("there is no such request")
    if args.notice == NoticeType.CONFIRMATION_REQUESTED and store.is_request_being_changed(db, request.id):
        return Snooze("the request is being changed")
    notice = _NOTICES[args.notice](db, ctx, sender, request, args.recipient, args.event_id)
    if not isinstance(notice, _Notice):
        return notice
    if args.change_id is not None and notice.entry is not None:
        notice = replace(notice, entry=replace(notice.entry, revised_at=job.due_at))
    if job.payload is None:
        _record_mailbox(db, ctx, sender, job, notice)
    service = service_name(db, request.consultation_service_type_id)
    return _compose(sender, job, notice, one_line(service))


def _record_mailbox(
    db: Session, ctx: Context, sender: Sender, job: LeasedJob[SendNotice], notice: _Notice
) -> None:
    """Store which mailbox a new mail is about to reach; a repeat sends the bytes that are stored already."""
    if notice.confirmation is not None:
        address = notice.reader.mailbox.address
        entries.record_request(db, sender, job, notice.confirmation, address, notice.entry, ctx.now)
    if notice.held_by is not None:
        take_for_cancellation(db, job, notice.held_by.id)


def notice_lifetime(db: Session, args: SendNotice) -> tuple[datetime | None, datetime | None]:
    """A notice that asks for an answer is useful while the time is held; others have no end of their own."""
    until: datetime | None = None
    if args.notice == NoticeType.CONFIRMATION_REQUESTED:
        held = store.held_time(db, args.request_id, args.recipient)
        until = None if held is None else held.until
    elif args.notice == NoticeType.TIME_OFFERED and args.event_id is not None:
        offer = store.offer(db, args.event_id)
        until = None if offer is None else offer.offered_until
    elif args.notice == NoticeType.NEW_TIME_PROPOSED:
        request = store.request(db, args.request_id)
        proposed = store.proposed_time(db, request.scheduled_session_id) if request else None
        until = None if proposed is None else proposed.until
    return None, until


def _confirmation_requested(
    db: Session, ctx: Context, sender: Sender, request: ConsultationRequest, to: UUID, event: UUID | None
) -> _Notice | Skipped:
    held = store.held_time(db, request.id, to)
    if held is None:
        return Skipped("no time is held for the request")
    assigned = request.assigned_consultant_user_id == to
    reason = rules.confirmation_skip_reason(request.status, assigned, held.until, ctx.now)
    if reason is not None:
        return Skipped(reason)
    reader = mail_recipient(db, sender, to, ctx.policies)
    requester = counterpart_name(db, request.requester_user_id, reader.language)
    confirmation = None if event is None else confirmation_request(db, event)
    entry = None
    if confirmation is not None:
        entry = entries.entry_for(db, sender, request, confirmation, reader, held.until)
    values = {
        "counterpart": requester,
        "when": span_text(held.start, held.end, reader.time_zone, reader.language),
        "until": instant_text(held.until, reader.time_zone, reader.language),
        "details": request.request_details,
        "by_calendar": "yes" if entry else None,
    }
    link = _answer_link(sender, to, held.until, confirmation.id) if confirmation else None
    return _Notice(
        NoticeType.CONFIRMATION_REQUESTED,
        reader,
        values,
        link,
        entry,
        "REQUEST" if entry else None,
        confirmation,
    )


def _confirmation_withdrawn(
    db: Session, ctx: Context, sender: Sender, request: ConsultationRequest, to: UUID, event: UUID | None
) -> _Notice | Skipped | Snooze:
    if store.is_confirmation_request_in_flight(db, request.id, to):
        return Snooze("the confirmation request is being sent")
    assigned = request.assigned_consultant_user_id == to
    reason = rules.withdrawal_skip_reason(
        request.status, assigned, store.was_confirmation_requested(db, request.id, to)
    )
    if reason is not None:
        return Skipped(reason)
    return _confirmation_ended(db, ctx, sender, request, to, event, NoticeType.CONFIRMATION_WITHDRAWN)


def _confirmation_declined(
    db: Session, ctx: Context, sender: Sender, request: ConsultationRequest, to: UUID, event: UUID | None
) -> _Notice | Skipped | Snooze:
    """A consultant who declined outside the calendar still has the entry there."""
    if store.is_confirmation_request_in_flight(db, request.id, to):
        return Snooze("the confirmation request is being sent")
    notice = _confirmation_ended(db, ctx, sender, request, to, event, NoticeType.CONFIRMATION_DECLINED)
    if not isinstance(notice, _Notice):
        return notice
    confirmation = _confirmation_before(db, request, to, event)
    by_calendar = confirmation is not None and confirmation.resolved_by == REPLIES
    in_calendar = notice.entry is not None and store.was_confirmation_requested(db, request.id, to)
    reason = rules.removal_skip_reason(in_calendar=in_calendar, by_calendar=by_calendar)
    return notice if reason is None else Skipped(reason)


def _confirmation_ended(
    db: Session,
    ctx: Context,
    sender: Sender,
    request: ConsultationRequest,
    to: UUID,
    event: UUID | None,
    type_: NoticeType,
) -> _Notice | Skipped:
    """The notice that ends a confirmation request, with what removes it from the calendar that has it."""
    confirmation = _confirmation_before(db, request, to, event)
    if confirmation is not None and entries.was_removed(db, confirmation):
        return Skipped("no mailbox holds it")
    held = entries.holders(db, confirmation) if confirmation is not None else []
    box = held[0] if held else None
    reader = (
        mail_recipient(db, sender, to, ctx.policies)
        if box is None
        else reader_at(db, sender, ctx.policies, box)
    )
    entry = None
    if confirmation is not None:
        entry = entries.entry_for(db, sender, request, confirmation, reader, ctx.now)
    return _Notice(
        type_,
        reader,
        {"counterpart": counterpart_name(db, request.requester_user_id, reader.language)},
        entry=entry,
        method="CANCEL" if entry else None,
        held_by=box,
    )


def _confirmation_before(
    db: Session, request: ConsultationRequest, to: UUID, event: UUID | None
) -> ConfirmationRequest | None:
    """The last confirmation request to this consultant before the event that ended it."""
    confirmation = latest_confirmation_request(db, request.id, before=event) if event is not None else None
    return confirmation if confirmation is not None and confirmation.consultant_user_id == to else None


def _time_offered(
    db: Session, ctx: Context, sender: Sender, request: ConsultationRequest, to: UUID, event: UUID | None
) -> _Notice | Skipped:
    offer = store.offer(db, event) if event is not None else None
    if offer is None:
        return Skipped("there is no such offer")
    reason = rules.offer_skip_reason(effective_state(offer.state, offer.offered_until, ctx.now))
    if reason is not None:
        return Skipped(reason)
    reader = mail_recipient(db, sender, to, ctx.policies)
    values: dict[str, str | None] = {
        "counterpart": counterpart_name(db, offer.consultant_user_id, reader.language),
        "when": span_text(offer.start_time, offer.end_time, reader.time_zone, reader.language),
        "until": instant_text(offer.offered_until, reader.time_zone, reader.language),
    }
    link = _answer_link(sender, to, offer.offered_until, offer.id, OFFERS)
    return _Notice(NoticeType.TIME_OFFERED, reader, values, link)


def _request_rejected(
    db: Session, ctx: Context, sender: Sender, request: ConsultationRequest, to: UUID, event: UUID | None
) -> _Notice | Skipped:
    if request.status != RequestStatus.REJECTED:
        return Skipped(f"the request is {request.status}")
    reader = mail_recipient(db, sender, to, ctx.policies)
    return _Notice(NoticeType.REQUEST_REJECTED, reader, {"reason": request.status_reason})


def _new_time_proposed(
    db: Session, ctx: Context, sender: Sender, request: ConsultationRequest, to: UUID, event: UUID | None
) -> _Notice | Skipped:
    proposed = store.proposed_time(db, request.scheduled_session_id)
    session = store.session(db, request.scheduled_session_id) if request.scheduled_session_id else None
    if proposed is None or session is None or session.status != SessionStatus.SCHEDULED:
        return Skipped("no other time is proposed")
    if proposed.until <= ctx.now:
        return Skipped("the time to answer is over")
    reader = mail_recipient(db, sender, to, ctx.policies)
    zone, language = reader.time_zone, reader.language
    values: dict[str, str | None] = {
        "absent": counterpart_name(db, session.consultant_user_id, language),
        "counterpart": counterpart_name(db, proposed.consultant_user_id, language),
        "before": span_text(session.scheduled_start_time, session.scheduled_end_time, zone, language),
        "when": span_text(proposed.start, proposed.end, zone, language),
        "until": instant_text(proposed.until, zone, language),
    }
    link = _answer_link(sender, to, proposed.until, proposed.id, PROPOSALS)
    return _Notice(NoticeType.NEW_TIME_PROPOSED, reader, values, link)


_NOTICES = {
    NoticeType.NEW_TIME_PROPOSED: _new_time_proposed,
    NoticeType.CONFIRMATION_REQUESTED: _confirmation_requested,
    NoticeType.CONFIRMATION_WITHDRAWN: _confirmation_withdrawn,
    NoticeType.CONFIRMATION_DECLINED: _confirmation_declined,
    NoticeType.REQUEST_REJECTED: _request_rejected,
    NoticeType.TIME_OFFERED: _time_offered,
}


def _answer_link(
    sender: Sender, to: UUID, until: datetime, subject: UUID, purpose: str = ANSWERS
) -> str | None:
    """The link to answer a question with one click, while the time is held."""
    if sender.links is None:
        return None
    return sender.links.url(ANSWERS, Grant(purpose, subject, to, until))


def _compose(sender: Sender, job: LeasedJob[SendNotice], notice: _Notice, service: str) -> bytes:
    reader, entry, method = notice.reader, notice.entry, notice.method
    rendered = render(
        notice.type,
        reader.language,
        link=notice.link,
        reader=one_line(reader.mailbox.name),
        sender=sender.mailbox.name,
        service=service,
        **notice.values,
    )
    return compose(
        sender=sender.mailbox,
        recipient=reader.mailbox,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        calendar=None if entry is None or method is None else calendar_part(entry, sender, method),
        method=method,
        message_id=message_id(job.key, sender.uid_domain),
        date=job.due_at,
    )
