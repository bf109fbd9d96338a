"""What whoever waits for a consultation is offered, and their answer: messages of the booking queue."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from booking_tasks.contracts.base import Command, Outcome, Queue, Reason
from booking_tasks.contracts.holds import HoldOutcome
from booking_tasks.enums import RefusalCode

OfferCode = Literal[
    RefusalCode.UNKNOWN_OFFER,
    RefusalCode.OFFER_EXPIRED,
    RefusalCode.OFFER_OVER,
]


class AcceptOffer(Command[HoldOutcome[OfferCode]]):
    """Take the time that was offered to a waiting request; it is booked at once.

    Where the consultant confirms themselves, they are asked and the time stays kept. The token came with
    the event `request.offered`. Codes: `unknown_offer`, `offer_expired` (nobody answered in time; the
    request waits on), `offer_over` (declined, or the request ended).
    """

    task: ClassVar[str] = "accept_offer"
    queue: ClassVar[Queue] = "booking"
    outcome: ClassVar[type[Outcome]] = HoldOutcome[OfferCode]

    request_id: UUID
    hold_token: UUID


class DeclineOffer(Command[HoldOutcome[OfferCode]]):
    """Leave offered time to others. The request waits on, and is not asked about this start again.

    Codes: `unknown_offer`, `offer_expired`, `offer_over` (accepted, or the request ended).
    """

    task: ClassVar[str] = "decline_offer"
    queue: ClassVar[Queue] = "booking"
    outcome: ClassVar[type[Outcome]] = HoldOutcome[OfferCode]

    request_id: UUID
    hold_token: UUID
    reason: Reason | None = None
