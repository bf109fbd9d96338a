"""The check of the directory: addresses of people who are to get mail, and to which none can be sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from booking_tasks.kit.addresses import is_of_service, is_usable
from booking_tasks.kit.settings import Settings
from booking_tasks.ops.findings import Finding, State
from booking_tasks.sql import query_text

#: How many ids one line names.
_MOST_IDS = 5


def addresses(config: Settings, db: Any) -> Iterator[Finding]:
    """Check the addresses of consultants who take bookings, and of people with a request or session ahead.

    `upsert_user` refuses such an address today; one may be older, or the service's own address has changed.
    """
    unusable = [
        user_id
        for user_id, address in db.execute(query_text(__package__, "active_people"))
        if is_of_service(address, config.mail_address) or not is_usable(address)
    ]
    if not unusable:
        yield Finding("addresses", State.OK, "mail can be sent to all active people of the directory")
        return
    shown = ", ".join(str(one) for one in unusable[:_MOST_IDS])
    rest = f" and {len(unusable) - _MOST_IDS} more" if len(unusable) > _MOST_IDS else ""
    seen = f"no mail can reach {len(unusable)} active people of the directory: {shown}{rest}"
    yield Finding("addresses", State.WARNING, seen, "correct their addresses by upsert_user")
