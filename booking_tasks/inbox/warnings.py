"""Warnings of an outcome: the people of a booking whose mail waits for the directory."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.contracts.base import Outcome, OutcomeWarning
from booking_tasks.enums import Party, WarningCode
from booking_tasks.inbox import store
from booking_tasks.kit.addresses import is_of_service, is_usable


def with_warnings(db: Session, outcome: Outcome, own_address: str) -> Outcome:
    """Return the outcome with a warning for each person of its bookings who cannot get mail yet.

    One query, and none for an outcome that books nothing. A refusal has no warnings.
    """
    requests, sessions = outcome.booked_requests(), outcome.booked_sessions()
    if outcome.result not in ("done", "already_done") or not (requests or sessions):
        return outcome
    people = store.people_of(db, requests, sessions, outcome.booked_consultants())
    warnings = tuple(_warnings(people, own_address))
    return outcome.model_copy(update={"warnings": warnings}) if warnings else outcome


def _warnings(people: dict[tuple[Party, UUID], str | None], own_address: str) -> Iterator[OutcomeWarning]:
    for (party, user_id), address in people.items():
        if address is None:
            text = f"the directory has no entry of the {party} {user_id}; their mail waits for upsert_user"
            yield OutcomeWarning(code=WarningCode.UNKNOWN_PERSON, user_id=user_id, party=party, message=text)
        elif is_of_service(address, own_address) or not is_usable(address):
            text = f"no mail can reach the {party} {user_id}; correct their address by upsert_user"
            yield OutcomeWarning(
                code=WarningCode.UNUSABLE_ADDRESS, user_id=user_id, party=party, message=text
            )
