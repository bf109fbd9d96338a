"""What the page behind a link shows."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.invites.store import held_time, offer, request
from booking_tasks.kit.signed_links import Grant
from booking_tasks.mail.calendar_copy import House, Person
from booking_tasks.mail.dates import spoken_moment, spoken_span
from booking_tasks.mail.render import one_line
from booking_tasks.mail.store import person, service_name
from booking_tasks.offers.rules import effective_state
from booking_tasks.requests.confirmation_requests import ConfirmationRequest, Resolution, confirmation_request


@dataclass(frozen=True)
class Asked:
    """A question as its consultant sees it. Times are spelled out, in their zone and language."""

    question: ConfirmationRequest
    reader: Person
    fate: Resolution
    service: str
    counterpart: str
    when: str | None = None
    until: str | None = None
    details: str | None = None


@dataclass(frozen=True)
class Offered:
    """Time that is kept for one who waits, as they see it. `standing`: the offer's state, as of now."""

    request_id: UUID
    hold_token: UUID
    reader: Person
    standing: str
    service: str
    counterpart: str
    when: str
    until: str


def offered(db: Session, ctx: Context, house: House, grant: Grant) -> Offered | None:
    """What a link about an offer leads to; None when there is no such offer to this person.

    Raises EffectNotDoneError while the directory does not know one of the two sides.
    """
    found = offer(db, grant.subject)
    wish = request(db, found.consultation_request_id) if found is not None else None
    if found is None or wish is None or wish.requester_user_id != grant.person:
        return None
    reader = person(db, house, grant.person, ctx.policies)
    consultant = person(db, house, found.consultant_user_id, ctx.policies)
    zone, language = reader.time_zone, reader.language
    return Offered(
        request_id=wish.id,
        hold_token=found.hold_token,
        reader=reader,
        standing=effective_state(found.state, found.offered_until, ctx.now),
        service=one_line(service_name(db, wish.consultation_service_type_id)),
        counterpart=one_line(consultant.mailbox.name),
        when=spoken_span(found.start_time, found.end_time, zone, language),
        until=spoken_moment(found.offered_until, zone, language),
    )


def asked(db: Session, ctx: Context, house: House, grant: Grant) -> Asked | None:
    """What a link to answer by is about; None when there is no such question for this person.

    Raises EffectNotDoneError while the directory does not know one of the two sides.
    """
    found = confirmation_request(db, grant.subject)
    wish = request(db, found.request_id) if found is not None else None
    if found is None or wish is None or found.consultant_user_id != grant.person:
        return None
    reader = person(db, house, grant.person, ctx.policies)
    requester = person(db, house, wish.requester_user_id, ctx.policies)
    held = held_time(db, wish.id, grant.person) if found.resolution == "open" else None
    live = held is not None and held.until > ctx.now
    zone, language = reader.time_zone, reader.language
    start, end = (held.start, held.end) if held else (found.start, found.end)
    return Asked(
        question=found,
        reader=reader,
        fate="unanswered" if found.resolution == "open" and not live else found.resolution,
        service=one_line(service_name(db, wish.consultation_service_type_id)),
        counterpart=one_line(requester.mailbox.name),
        when=spoken_span(start, end, zone, language) if start and end else None,
        until=spoken_moment(held.until, zone, language) if held else None,
        details=wish.request_details,
    )
