"""What `booking-tasks check` says of the ways in which people answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

from booking_tasks.kit.settings import Settings

#: How it stands, what was seen, and what mends it.
Said = tuple[Literal["ok", "warning"], str, str]

_OWN_MACHINE = {"localhost", "127.0.0.1", "::1"}


def answers(config: Settings, seconds: float) -> Iterator[Said]:
    """Whether questions can be answered in calendars, and by links whose pages are reached."""
    yield _by_calendar(config)
    if config.links is None:
        mend = "for links set BOOKING_PUBLIC_URL and BOOKING_LINK_SECRET, and run booking-tasks web"
        yield "ok", "BOOKING_PUBLIC_URL is not set: mails carry no link", mend
        return
    address = urlsplit(config.links.address)
    where = f"{address.scheme}://{address.netloc}"
    if address.scheme == "http" and address.hostname not in _OWN_MACHINE:
        yield "warning", f"{where}: links travel unencrypted", "put TLS in front, and write https:// there"
    if said := _unreached(config.links.address, seconds):
        mend = "run booking-tasks web behind it, or correct BOOKING_PUBLIC_URL"
        yield "warning", f"{where}: {said}; links in mails lead nowhere", mend
    else:
        yield "ok", f"{where} answers; mails carry links", ""


def _by_calendar(config: Settings) -> Said:
    """What nobody can see from here is said, so that somebody looks."""
    if not config.calendar_replies:
        return "ok", "BOOKING_CALENDAR_REPLIES is false: questions stand in nobody's calendar", ""
    proof = (
        "DMARC checked" if config.reply_authserv else "senders unproven: BOOKING_REPLY_AUTHSERV is not set"
    )
    return "ok", f"answers in calendars come to {config.mail_address}, for booking-tasks reply ({proof})", ""


def _unreached(address: str, seconds: float) -> str | None:
    import httpx2

    try:
        answer = httpx2.get(f"{address}/healthz", timeout=seconds)
    except httpx2.HTTPError as error:
        return type(error).__name__
    return None if answer.status_code == 200 else f"/healthz answers {answer.status_code}"
