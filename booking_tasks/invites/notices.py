"""Letters about a request that is no consultation yet: an answer wanted, no longer wanted, time, no luck."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.enums import RequestStatus, SessionStatus
from booking_tasks.invites import rules, store
from booking_tasks.invites.calendar import calendar
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped, Snooze
from booking_tasks.kit.signed_links import Grant
from booking_tasks.mail.calendar_copy import Copy, House, Person
from booking_tasks.mail.dates import spoken_moment, spoken_span
from booking_tasks.mail.message import Method, letter, message_id
from booking_tasks.mail.render import one_line, words
from booking_tasks.mail.store import person, service_name
from booking_tasks.models import ConsultationRequest
from booking_tasks.offers.rules import effective_state
from booking_tasks.outbox.job_args import NoticeType, SendNotice
from booking_tasks.requests.confirmation_requests import (
    ConfirmationRequest,
    confirmation_request,
    latest_confirmation_request,
)

#: What a link in a question is for, and the path that it leads to.
ANSWERS = "answers"
#: What a link in an offer is for; it leads to the same path.
OFFERS = "offers"
#: The door that answers out of calendars come through.
REPLIES = "replies"


@dataclass(frozen=True)
class _Notice:
    """What is to be said to whom; `values` fill its template beside the names of reader and service.

    `entry` goes into the reader's calendar or, with CANCEL as `method`, out of it.
    """

    type: NoticeType
    reader: Person
    values: dict[str, str | None]
    link: str | None = None
    entry: Copy | None = None
    method: Method | None = None


def write_notice(
    db: Session, ctx: Context, house: House, job: LeasedJob[SendNotice]
) -> bytes | Skipped | Snooze:
    """The notice that the job orders, or why it is not due any more.

    Raises EffectNotDoneError while the directory does not know someone it is to or about.
    """
    args = job.args
    request = store.request(db, args.request_id)
    if request is None:
        return Skipped("there is no such request")
    notice = _NOTICES[args.notice](db, ctx, house, request, args.recipient, args.event_id)
    if not isinstance(notice, _Notice):
        return notice
    service = service_name(db, request.consultation_service_type_id)
    return _written(house, job, notice, one_line(service))


def _confirmation_requested(
    db: Session, ctx: Context, house: House, request: ConsultationRequest, to: UUID, event: UUID | None
) -> _Notice | Skipped:
    held = store.held_time(db, request.id, to)
    if held is None:
        return Skipped("no time is held for the request")
    assigned = request.assigned_consultant_user_id == to
    reason = rules.why_not_ask(request.status, assigned, held.until, ctx.now)
    if reason is not None:
        return Skipped(reason)
    reader = person(db, house, to, ctx.policies)
    requester = _requester(db, ctx, house, request)
    asked = None if event is None else confirmation_request(db, event)
    entry = _entry(db, house, request, asked, held.until, reader, requester) if asked else None
    values = {
        "counterpart": requester,
        "when": spoken_span(held.start, held.end, reader.time_zone, reader.language),
        "until": spoken_moment(held.until, reader.time_zone, reader.language),
        "details": request.request_details,
        "by_calendar": "yes" if entry else None,
    }
    link = _answer_link(house, to, held.until, asked.id) if asked else None
    return _Notice(
        NoticeType.CONFIRMATION_REQUESTED, reader, values, link, entry, "REQUEST" if entry else None
    )


def _confirmation_withdrawn(
    db: Session, ctx: Context, house: House, request: ConsultationRequest, to: UUID, event: UUID | None
) -> _Notice | Skipped | Snooze:
    if store.asking_in_flight(db, request.id, to):
        return Snooze("the question is on its way")
    assigned = request.assigned_consultant_user_id == to
    reason = rules.why_not_withdraw(request.status, assigned, store.asking_tried(db, request.id, to))
    if reason is not None:
        return Skipped(reason)
    return _no_more(db, ctx, house, request, to, event, NoticeType.CONFIRMATION_WITHDRAWN)


def _confirmation_declined(
    db: Session, ctx: Context, house: House, request: ConsultationRequest, to: UUID, event: UUID | None
) -> _Notice | Skipped | Snooze:
    """Whoever declined in their calendar has it there; who did so in another way still has a question."""
    if store.asking_in_flight(db, request.id, to):
        return Snooze("the question is on its way")
    notice = _no_more(db, ctx, house, request, to, event, NoticeType.CONFIRMATION_DECLINED)
    asked = _question_before(db, request, to, event)
    by_calendar = asked is not None and asked.resolved_by == REPLIES
    in_calendar = notice.entry is not None and store.asking_tried(db, request.id, to)
    reason = rules.why_not_take_out(in_calendar=in_calendar, by_calendar=by_calendar)
    return notice if reason is None else Skipped(reason)


def _no_more(
    db: Session,
    ctx: Context,
    house: House,
    request: ConsultationRequest,
    to: UUID,
    event: UUID | None,
    type_: NoticeType,
) -> _Notice:
    """A letter that ends a question, with what takes it out of the reader's calendar."""
    reader = person(db, house, to, ctx.policies)
    requester = _requester(db, ctx, house, request)
    asked = _question_before(db, request, to, event)
    entry = _entry(db, house, request, asked, ctx.now, reader, requester) if asked else None
    return _Notice(type_, reader, {"counterpart": requester}, entry=entry, method="CANCEL" if entry else None)


def _question_before(
    db: Session, request: ConsultationRequest, to: UUID, event: UUID | None
) -> ConfirmationRequest | None:
    """What this consultant was asked last before the event that ended it."""
    asked = latest_confirmation_request(db, request.id, before=event) if event is not None else None
    return asked if asked is not None and asked.consultant_user_id == to else None


def _entry(
    db: Session,
    house: House,
    request: ConsultationRequest,
    asked: ConfirmationRequest,
    until: datetime,
    reader: Person,
    requester: str,
) -> Copy | None:
    """The question as it stands in its reader's calendar, or its end; None where calendars are not read."""
    if not house.calendar_replies or asked.start is None or asked.end is None:
        return None
    revised_at = asked.requested_at
    if asked.resolved_at is not None:
        revised_at = max(asked.resolved_at, asked.requested_at + timedelta(seconds=1))
    return Copy(
        session_id=asked.id,
        revision=0 if asked.resolved_at is None else 1,
        revised_at=revised_at,
        created_at=asked.requested_at,
        start=asked.start,
        end=asked.end,
        service=service_name(db, request.consultation_service_type_id),
        recipient=reader,
        counterpart=requester,
        join_url=None,
        details=request.request_details,
        answer_until=until,
    )


def _time_offered(
    db: Session, ctx: Context, house: House, request: ConsultationRequest, to: UUID, event: UUID | None
) -> _Notice | Skipped:
    offer = store.offer(db, event) if event is not None else None
    if offer is None:
        return Skipped("there is no such offer")
    reason = rules.why_not_offer(effective_state(offer.state, offer.offered_until, ctx.now))
    if reason is not None:
        return Skipped(reason)
    reader = person(db, house, to, ctx.policies)
    counterpart = person(db, house, offer.consultant_user_id, ctx.policies)
    values: dict[str, str | None] = {
        "counterpart": one_line(counterpart.mailbox.name),
        "when": spoken_span(offer.start_time, offer.end_time, reader.time_zone, reader.language),
        "until": spoken_moment(offer.offered_until, reader.time_zone, reader.language),
    }
    link = _answer_link(house, to, offer.offered_until, offer.id, OFFERS)
    return _Notice(NoticeType.TIME_OFFERED, reader, values, link)


def _request_rejected(
    db: Session, ctx: Context, house: House, request: ConsultationRequest, to: UUID, event: UUID | None
) -> _Notice | Skipped:
    if request.status != RequestStatus.REJECTED:
        return Skipped(f"the request is {request.status}")
    reader = person(db, house, to, ctx.policies)
    return _Notice(NoticeType.REQUEST_REJECTED, reader, {"reason": request.status_reason})


def _new_time_proposed(
    db: Session, ctx: Context, house: House, request: ConsultationRequest, to: UUID, event: UUID | None
) -> _Notice | Skipped:
    proposed = store.proposed_time(db, request.scheduled_session_id)
    session = store.session(db, request.scheduled_session_id) if request.scheduled_session_id else None
    if proposed is None or session is None or session.status != SessionStatus.SCHEDULED:
        return Skipped("no other time is proposed")
    if proposed.until <= ctx.now:
        return Skipped("the time to answer is over")
    reader = person(db, house, to, ctx.policies)
    absent = person(db, house, session.consultant_user_id, ctx.policies)
    other = person(db, house, proposed.consultant_user_id, ctx.policies)
    zone, language = reader.time_zone, reader.language
    values: dict[str, str | None] = {
        "absent": one_line(absent.mailbox.name),
        "counterpart": one_line(other.mailbox.name),
        "before": spoken_span(session.scheduled_start_time, session.scheduled_end_time, zone, language),
        "when": spoken_span(proposed.start, proposed.end, zone, language),
        "until": spoken_moment(proposed.until, zone, language),
    }
    return _Notice(NoticeType.NEW_TIME_PROPOSED, reader, values)


_NOTICES = {
    NoticeType.NEW_TIME_PROPOSED: _new_time_proposed,
    NoticeType.CONFIRMATION_REQUESTED: _confirmation_requested,
    NoticeType.CONFIRMATION_WITHDRAWN: _confirmation_withdrawn,
    NoticeType.CONFIRMATION_DECLINED: _confirmation_declined,
    NoticeType.REQUEST_REJECTED: _request_rejected,
    NoticeType.TIME_OFFERED: _time_offered,
}


def _answer_link(
    house: House, to: UUID, until: datetime, subject: UUID, purpose: str = ANSWERS
) -> str | None:
    """Where a question or an offer can be answered with one click; as long as the time is held."""
    if house.links is None:
        return None
    return house.links.url(ANSWERS, Grant(purpose, subject, to, until))


def _requester(db: Session, ctx: Context, house: House, request: ConsultationRequest) -> str:
    requester = person(db, house, request.requester_user_id, ctx.policies)
    return one_line(requester.mailbox.name)


def _written(house: House, job: LeasedJob[SendNotice], notice: _Notice, service: str) -> bytes:
    reader, entry, method = notice.reader, notice.entry, notice.method
    said = words(
        notice.type,
        reader.language,
        link=notice.link,
        reader=one_line(reader.mailbox.name),
        house=house.mailbox.name,
        service=service,
        **notice.values,
    )
    return letter(
        sender=house.mailbox,
        recipient=reader.mailbox,
        subject=said.subject,
        text=said.text,
        html=said.html,
        calendar=None if entry is None or method is None else calendar(entry, house, method),
        method=method,
        message_id=message_id(job.key, house.uid_domain),
        date=job.due_at,
    )
